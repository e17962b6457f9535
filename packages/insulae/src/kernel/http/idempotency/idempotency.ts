/**
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that creates something can
 * be sent again by a client that did not hear the answer, and creates it once.
 *
 * The key is claimed before the handler runs, and its answer kept after it, for a day, with the
 * tenant's data. An error keeps nothing: what was refused may be tried again. If the process dies in
 * between, or the outcome of the write is unknown, the claim stands for a minute, in which the answer
 * is 409; then the request may run again, and whether the first run created anything the client has to
 * look up. A request without the header costs nothing.
 *
 * It is offered where it is safe to keep the answer: to known callers, within a tenant, and never
 * where the answer has a secret in it (`secretText` in its schema), which is to be seen once, nor for
 * a body that is read as it comes, which is nowhere as a whole. Every other POST, PUT and PATCH refuses
 * the header, so that no client repeats a change in the belief that it is made once.
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

/** The headers of an answer that are part of it. */
const keptHeaders = ["content-type", "location", "etag"] as const;
const maxBody = 262_144;

export interface OnceOptions {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly caller: Caller;
  readonly log: Logger;
  /** Runs the handler, and makes its answer ready to be sent. */
  readonly run: () => Promise<Payload>;
}

/**
 * Answers a request that has the header: by running it, or with what was answered before.
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
    // Whether it was done nobody knows: the claim stands until it ends.
    const unknown = error instanceof AppError && error.code === writeOutcomeUnknown.code;
    if (!unknown) await dropClaim(db, claim).catch((cause) => warn(log, cause));
    throw error;
  }
  // It is done, and the client hears so, whether or not that can be kept.
  await keepAnswer(db, claim, answerOf(reply, payload)).catch((cause) => warn(log, cause));
  return payload;
}

/** As text, or as a structured field (RFC 9651), which puts it in quotes. */
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
  // Gone again: the first one was refused in the meantime.
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
  log.warn({ err: error }, "What is known of an Idempotency-Key could not be changed");
