/**
 * Reads bodies that must be in memory as a whole. Received bytes are counted for the process and
 * for whoever pays for the request. A body above the payer's limit is refused, before it is read if
 * it declares its length. When the process's limit is reached, the payer with the most bytes loses
 * its oldest body to one with fewer (`fair-shares.ts`), so stalled bodies can't keep others out.
 * Only received bytes count; announcing a length reserves nothing.
 */
import type { IncomingMessage } from "node:http";
import type { FastifyRequest } from "fastify";
import { serverBusy, tooManyAtOnce } from "../../lib/at-a-time.ts";
import type { AppError } from "../../lib/errors.ts";
import { createFairShares, type Holder, holderAt, holderOf } from "../../lib/fair-shares.ts";
import { badRequest, bodyTooLarge } from "../../lib/http-errors.ts";
import { findState } from "../state/request-state.ts";

export interface BodyBytesLimits {
  /** Bytes of incomplete bodies in this process. */
  readonly process: number;
  /** Of these, bytes per tenant, or per client if nobody is signed in to a tenant. */
  readonly payer: number;
}

type Done = (error: Error | null, bytes?: Buffer) => void;
type ReadBytes = (request: FastifyRequest, stream: IncomingMessage, done: Done) => void;

/** Memory per chunk besides its bytes: a client can send each byte in a chunk of its own. */
const chunkOverhead = 256;

export function createBodyReader(limits: BodyBytesLimits): ReadBytes {
  const shares = createFairShares(limits.process, "oldest");
  const headers = { "retry-after": "1" };
  const detail = (bytes: number, whose: string) =>
    `Bodies being received can take ${bytes} bytes for ${whose}. Retry when they are complete.`;
  const noRoom = () => serverBusy({ headers, detail: detail(limits.process, "this process") });

  const beyondOwn = (payer: Holder, more: number): AppError | undefined =>
    shares.heldBy(payer) + more > limits.payer
      ? tooManyAtOnce({ headers, detail: detail(limits.payer, "a tenant or a client") })
      : undefined;
  const refusal = (payer: Holder, more: number): AppError | undefined =>
    beyondOwn(payer, more) ?? (shares.hasRoom(payer, more) ? undefined : noRoom());

  return (request, stream, done) => {
    const { bodyLimit } = request.routeOptions;
    const payer = payerOf(request);
    const told = request.headers["content-length"];
    const length = told === undefined ? undefined : Number(told);
    const tooLarge = () =>
      bodyTooLarge({ detail: `The body can have at most ${bodyLimit} bytes.` });
    const refused = (length ?? 0) > bodyLimit ? tooLarge() : refusal(payer, length ?? 0);
    if (refused) {
      done(refused);
      return;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    const part = shares.begin(payer, () => end(noRoom()));
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      const more = chunk.length + chunkOverhead;
      const error = size > bodyLimit ? tooLarge() : beyondOwn(payer, more);
      if (error) end(error);
      else if (part.grow(more)) chunks.push(chunk);
      else end(noRoom());
    };
    const end = (error?: Error | null): void => {
      stream.off("data", take).off("end", end).off("error", end).off("close", cut);
      part.end();
      if (error) done(error);
      else if (length !== undefined && size !== length) done(badRequest());
      else done(null, Buffer.concat(chunks, size));
    };
    const cut = () => end(stream.errored ?? new Error("the client closed the connection"));
    stream.on("data", take).on("end", end).on("error", end).on("close", cut).resume();
  };
}

/** Unauthenticated clients don't use up the tenant's share. */
function payerOf(request: FastifyRequest): Holder {
  const state = findState(request);
  const tenant = state?.caller?.user && state.caller.tenant;
  return tenant || !state ? holderOf(tenant) : holderAt(state.client);
}
