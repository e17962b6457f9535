/**
 * Routes whose requests are expensive, or last: a bounded number of them runs at a time, for a tenant and
 * for the process. What comes beyond is refused before its body is read. A place is taken until the answer
 * has been sent, so nothing that holds one may stand still: a body has two minutes to come in, and a
 * client that takes nothing of an answer is cut off (`take-in-time.ts`).
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { type AtATimeOptions, createAtATime } from "../at-a-time.ts";
import type { Route } from "../feature.ts";

const limits = {
  imports: { tenant: 1, process: 4, retryAfter: 5 },
  exports: { tenant: 8, process: 16, retryAfter: 5 },
} as const satisfies Record<string, Omit<AtATimeOptions, "what">>;

/** What a route's requests count as; all routes of a kind share its limits. */
export type BoundedWork = keyof typeof limits;

const bodyWithinMs = 120_000;

/** @throws tooManyAtOnce, serverBusy */
type Enter = (owner: string | undefined, call: Call) => Promise<void>;

interface Call {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** @returns for a route that says `atATime`, what its requests begin with. */
export function boundRoutes(): (route: Route) => Enter | undefined {
  const places = new Map(
    Object.entries(limits).map(([what, sizes]) => [what, createAtATime({ what, ...sizes })]),
  );
  return ({ options: { atATime } }) => {
    const place = atATime && places.get(atATime);
    if (!place) return undefined;
    return async (owner, { request: { raw: request }, reply: { raw: answer } }) => {
      const leave = await place.enter(owner);
      if (answer.destroyed) {
        leave();
        return;
      }
      const late = setTimeout(() => {
        if (!request.complete) answer.destroy();
      }, bodyWithinMs).unref();
      answer.once("close", () => {
        clearTimeout(late);
        leave();
      });
    };
  };
}
