/**
 * Entity tags and conditional requests (RFC 9110, sections 8.8.3 and 13).
 *
 * A tag is a hash of the response text: it needs no knowledge of the content, costs 0.6 µs for 300
 * bytes, and changes whenever the client would see something else. SHA-256, because with a weaker
 * hash a document's author could make two versions with one tag, and get past a reader's
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

/** `*`, or quoted tags; weak ones with their `W/`. */
type Tags = "*" | readonly string[];

/** The conditions in a request's headers; see `conditionOf`. */
export interface Condition {
  readonly ifMatch: Tags | undefined;
  readonly ifNoneMatch: Tags | undefined;
}

/** Undefined: the request is unconditional. @throws invalidEntityTag */
export function conditionOf(headers: IncomingHttpHeaders): Condition | undefined {
  const match = headers["if-match"];
  const noneMatch = headers["if-none-match"];
  if (match === undefined && noneMatch === undefined) return undefined;
  return {
    ifMatch: match === undefined ? undefined : tagsOf(match),
    ifNoneMatch: noneMatch === undefined ? undefined : tagsOf(noneMatch),
  };
}

/** Refuses the request if its condition does not hold. @throws preconditionFailed */
export function requireCondition({ ifMatch, ifNoneMatch }: Condition, tag: string): void {
  if (ifMatch !== undefined && !isStrongMatch(ifMatch, tag)) throw preconditionFailed();
  if (ifNoneMatch !== undefined && isWeakMatch(ifNoneMatch, tag)) throw preconditionFailed();
}

/**
 * Tags the response to a GET, and omits the body (304) if the client has it already.
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
 * Whether the client of a GET already has the tagged version.
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

// Our tags are strong, so where strong comparison is required a weak one never matches.
const isStrongMatch = (tags: Tags, tag: string): boolean => tags === "*" || tags.includes(tag);

const isWeakMatch = (tags: Tags, tag: string): boolean =>
  tags === "*" || tags.some((each) => each === tag || each === `W/${tag}`);
