/**
 * Entity tags and the conditions on them (RFC 9110 sections 8.8.3 and 13).
 *
 * A tag is a hash of the text of an answer, so it is had without looking into it, costs 0.6 µs for
 * 300 bytes, and is another one whenever a client would be shown something else. SHA-256, since who
 * may write a document could make two with one tag of a weaker hash, and so get past a reader's
 * `If-Match`.
 */
import { hash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { FastifyReply } from "fastify";
import { defineError } from "../../lib/errors.ts";

export const preconditionFailed = defineError(
  "precondition_failed",
  412,
  "The resource has changed since you read it. Fetch it again and retry.",
);
export const invalidEntityTag = defineError(
  "invalid_entity_tag",
  400,
  'If-Match or If-None-Match is invalid. Send * or a list of quoted tags: "abc", W/"def".',
);

export const entityTagOf = (text: string): string =>
  `"${hash("sha256", text, "base64url").slice(0, 22)}"`;

/** `*`, or the tags in quotes, the weak ones with their `W/`. */
type Tags = "*" | readonly string[];

/** What a request's headers ask of the present state; see `conditionOf`. */
export interface Condition {
  readonly ifMatch: Tags | undefined;
  readonly ifNoneMatch: Tags | undefined;
}

/** Undefined: the request has no condition. @throws invalidEntityTag */
export function conditionOf(headers: IncomingHttpHeaders): Condition | undefined {
  const match = headers["if-match"];
  const noneMatch = headers["if-none-match"];
  if (match === undefined && noneMatch === undefined) return undefined;
  return {
    ifMatch: match === undefined ? undefined : tagsOf(match),
    ifNoneMatch: noneMatch === undefined ? undefined : tagsOf(noneMatch),
  };
}

/** Refuses a change of what is not as the request says. @throws preconditionFailed */
export function requireCondition({ ifMatch, ifNoneMatch }: Condition, tag: string): void {
  if (ifMatch !== undefined && !isStrongMatch(ifMatch, tag)) throw preconditionFailed();
  if (ifNoneMatch !== undefined && isWeakMatch(ifNoneMatch, tag)) throw preconditionFailed();
}

/**
 * Tags the answer to a GET, and leaves out its body (304) if the client has it already.
 *
 * @throws invalidEntityTag, preconditionFailed
 */
export function tagRead(reply: FastifyReply, text: string): string | undefined {
  const tag = entityTagOf(text);
  reply.header("etag", tag);
  if (!isCurrent(reply.request.headers, tag)) return text;
  reply.removeHeader("content-type").code(304);
  return undefined;
}

/**
 * Whether the client of a GET has what the tag stands for already.
 *
 * @throws invalidEntityTag, preconditionFailed
 */
export function isCurrent(headers: IncomingHttpHeaders, tag: string): boolean {
  const { ifMatch, ifNoneMatch } = conditionOf(headers) ?? {};
  if (ifMatch !== undefined && !isStrongMatch(ifMatch, tag)) throw preconditionFailed();
  return ifNoneMatch !== undefined && isWeakMatch(ifNoneMatch, tag);
}

const oneTag = /[ \t,]*((?:W\/)?"[!#-~\u0080-\u00ff]*")[ \t]*(?=,|$)/gy;

function tagsOf(header: string): Tags {
  if (header.trim() === "*") return "*";
  const tags: string[] = [];
  let end = 0;
  for (const match of header.matchAll(oneTag)) {
    tags.push(match[1] ?? "");
    end = match.index + match[0].length;
  }
  if (tags.length === 0 || /[^ \t,]/.test(header.slice(end))) throw invalidEntityTag();
  return tags;
}

// Ours are strong, so a weak one is none of ours where it has to be the same to the byte.
const isStrongMatch = (tags: Tags, tag: string): boolean => tags === "*" || tags.includes(tag);

const isWeakMatch = (tags: Tags, tag: string): boolean =>
  tags === "*" || tags.some((each) => each === tag || each === `W/${tag}`);
