/**
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a client that did not receive the
 * response can retry a request, and the resource is created once.
 *
 * The key is claimed before the handler runs, and the response is stored with the tenant's data for
 * a day. Errors are not stored: the request may be tried again. If the process dies in between, or
 * the outcome of the write is unknown, the claim stays for a minute, in which the response is 409.
 * Then the request may run again; the client has to check whether the first run succeeded. A
 * request without the header costs nothing.
 *
 * It is offered where storing the response is safe: to authenticated callers, within a tenant, and
 * never where the response contains a secret (`secretText` in its schema), nor for stream bodies,
 * which are never in memory as a whole. Every other POST, PUT and PATCH refuses the header, so that
 * no client relies on it in vain.
 */
import { hash, randomUUID } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { writeOutcomeUnknown } from "../../engine/errors.ts";
import { AppError } from "../../lib/errors.ts";
import type { Logger } from "../../telemetry/log.ts";
import { answerTooLarge, inProgress, invalidKey, keyReused } from "../api/idempotency-key.ts";
import type { Payload } from "../reply/answer.ts";
import type { Caller } from "../state/request-state.ts";
import { type Claim, dropClaim, findAnswer, keepAnswer, takeClaim } from "./idempotency.queries.ts";

/** Headers stored with the response. */
const keptHeaders = ["content-type", "location", "etag"] as const;
const maxBody = 262_144;

export interface OnceOptions {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly caller: Caller;
  readonly log: Logger;
  /** Runs the handler and renders its response. */
  readonly run: () => Promise<Payload>;
}

/**
 * Runs a request that has the header, or replays its stored response.
 *
 * @throws one of `idempotencyErrors`, or what `run` throws
 */
export async function answerOnce(options: OnceOptions): Promise<Payload> {
  const { request, reply, caller, log, run } = options;
  const { db, user } = caller;
  if (!db || !user) throw new Error("an Idempotency-Key was taken without a tenant or a caller");
  const claim: Claim = {
    callerId: user.id,
    key: keyOf(request.headers["idempotency-key"]),
    requestHash: hash(
      "sha256",
      `${request.method} ${request.url}\n${JSON.stringify(request.body)}`,
    ),
    claim: randomUUID(),
  };
  if (!(await takeClaim(db, claim))) return replay(reply, claim, await findAnswer(db, claim));

  let payload: Payload;
  try {
    payload = await run();
  } catch (error) {
    // The write may have happened: keep the claim until it expires.
    const unknown = error instanceof AppError && error.code === writeOutcomeUnknown.code;
    if (!unknown) await dropClaim(db, claim).catch((cause) => warn(log, cause));
    throw error;
  }
  // The write is done, so the client gets its response even if storing it fails.
  await keepAnswer(db, claim, answerOf(reply, payload)).catch((cause) => warn(log, cause));
  return payload;
}

/** The key as plain text or as a structured field (RFC 9651), which is quoted. */
function keyOf(header: string | readonly string[] | undefined): string {
  const text = typeof header === "string" ? header : "";
  const key = /^"(.*)"$/.exec(text)?.[1] ?? text;
  if (!/^[!#-~]{1,255}$/.test(key)) throw invalidKey();
  return key;
}

function replay(
  reply: FastifyReply,
  claim: Claim,
  found: Awaited<ReturnType<typeof findAnswer>>,
): Payload {
  const again = { headers: { "retry-after": "1" } };
  // Deleted meanwhile: the first request was refused.
  if (!found) throw inProgress(again);
  if (found.request_hash !== claim.requestHash) throw keyReused();
  if (found.status === null) throw inProgress(again);
  if (found.body === null) throw answerTooLarge();
  reply.code(found.status).headers(found.headers).header("idempotent-replayed", "true");
  return found.body;
}

function answerOf(reply: FastifyReply, payload: Payload) {
  const headers = keptHeaders.flatMap((name) => {
    const value = reply.getHeader(name);
    return typeof value === "string" ? [[name, value] as const] : [];
  });
  const body = payload?.toString() ?? "";
  return {
    status: reply.statusCode,
    headers: Object.fromEntries(headers),
    body: body.length > maxBody ? null : body,
  };
}

const warn = (log: Logger, error: unknown): void =>
  log.warn({ err: error }, "Could not update an Idempotency-Key");
