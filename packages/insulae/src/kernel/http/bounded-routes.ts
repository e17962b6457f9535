/**
 * Routes whose requests are expensive, or last: a bounded number of them runs at a time, for a tenant and
 * for the process. What comes beyond is refused before its body is read. A place is taken until the answer
 * has been sent, so nothing that holds one may stand still: a body has two minutes to come in, and a
 * client that takes nothing of an answer is cut off (`take-in-time.ts`). A client that is slow for five
 * seconds loses its place as soon as another request needs it: to a tenant's own requests at the tenant's
 * limit, and to everybody's at the process's.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { type AtATimeOptions, createAtATime, type Leave } from "../at-a-time.ts";
import type { Route } from "../feature.ts";
import { shareOf } from "../workers/share.ts";
import { requestTimeout } from "./errors.ts";

const limits = {
  imports: { tenant: 1, process: 4, retryAfter: 5 },
  exports: { tenant: 8, process: 16, retryAfter: 5 },
} as const satisfies Record<string, Sizes>;

/** What a route's requests count as; all routes of a kind share its limits. */
export type BoundedWork = keyof typeof limits;

type Sizes = Pick<AtATimeOptions, "tenant" | "process" | "retryAfter">;

const bodyWithinMs = 120_000;

/** Slow is whoever moves less than 40 KiB in five seconds in which the server waits for nothing else. */
const slowSeconds = 5;
const slowBytes = slowSeconds * 8_192;

/** @throws tooManyAtOnce, serverBusy */
type Enter = (owner: string | undefined, call: Call) => Promise<void>;

interface Call {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** A request that has a place. */
interface Holder {
  readonly owner: string | undefined;
  /** In which the server has waited for a client that moved too little. */
  slowFor: number;
  readonly giveUp: () => void;
}

/**
 * @param workers of the node, each of which has a share.
 * @returns for a route that says `atATime`, what its requests begin with.
 */
export function boundRoutes(workers: number): (route: Route) => Enter | undefined {
  const kinds = new Map(
    Object.entries(limits).map(([what, { tenant, process, retryAfter }]) => [
      what,
      createPlaces(what, {
        tenant: shareOf(tenant, workers),
        process: shareOf(process, workers),
        retryAfter,
      }),
    ]),
  );
  return ({ options: { atATime } }) => atATime && kinds.get(atATime);
}

function createPlaces(what: string, sizes: Required<Sizes>): Enter {
  const places = createAtATime({ what, ...sizes });
  const holders = new Set<Holder>();

  /** The slowest client's place is free afterwards, if one is slow. */
  const giveUpSlowest = (owner: string | undefined): boolean => {
    const own = [...holders].filter((holder) => holder.owner === owner);
    const candidates = own.length >= sizes.tenant ? own : [...holders];
    const [slowest] = candidates.toSorted((a, b) => b.slowFor - a.slowFor);
    if (!slowest || slowest.slowFor < slowSeconds) return false;
    slowest.giveUp();
    return true;
  };

  const enter = (owner: string | undefined): Promise<Leave> =>
    places.enter(owner).catch((error: unknown) => {
      if (giveUpSlowest(owner)) return places.enter(owner);
      throw error;
    });

  return async (owner, call) => {
    const answer = call.reply.raw;
    const leave = await enter(owner);
    if (answer.destroyed) {
      leave();
      return;
    }
    const holder: Holder = {
      owner,
      slowFor: 0,
      giveUp() {
        end();
        endCall(call);
      },
    };
    holders.add(holder);
    const meter = setInterval(createMeter(call, holder), 1_000).unref();
    const late = setTimeout(() => {
      if (!call.request.raw.complete) answer.destroy();
    }, bodyWithinMs).unref();
    const end = () => {
      clearInterval(meter);
      clearTimeout(late);
      holders.delete(holder);
      leave();
    };
    answer.once("close", end);
  };
}

/** Called once a second. */
function createMeter({ request, reply }: Call, holder: Holder): () => void {
  const { raw } = request;
  const moved = () => (raw.socket.bytesRead ?? 0) + (raw.socket.bytesWritten ?? 0);
  let before = moved();
  return () => {
    const now = moved();
    const waitsForBytes = !raw.complete && raw.readableLength === 0;
    const waitsForReader = reply.raw.writableLength > 0;
    if ((waitsForBytes || waitsForReader) && now - before < slowBytes) {
      holder.slowFor += 1;
      return;
    }
    before = now;
    holder.slowFor = 0;
  };
}

/** An answer that has begun can only be cut off. */
function endCall({ request: { raw }, reply }: Call): void {
  if (reply.raw.headersSent || raw.complete) {
    reply.raw.destroy();
    return;
  }
  // Node does not abort a body whose answer has been sent: its reader would wait for ever.
  reply.raw.once("close", () => raw.destroy());
  reply.send(requestTimeout({ detail: "Another request needed the place of this slow one" }));
}
