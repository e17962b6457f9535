/**
 * Routes whose requests are expensive or long-running (`atATime`): the number that run at a time is
 * bounded per tenant and per process. Above a tenant's limit a request is refused before its body
 * is read. Above the process's limit it waits for a place for at most 20 s, round robin over
 * tenants (`at-a-time.ts`).
 *
 * A request keeps its place until its response has been sent, so it must make progress: a body has
 * two minutes to arrive, and a client that stops reading is disconnected (`take-in-time.ts`). While
 * others wait, the required transfer rate rises; the slowest client below it loses its place once
 * it has held it for 5 s:
 *
 *   longest wait         0 s   1 s   2 s   3 s    4 s    5 s or more
 *   required, in KiB/s     8    16    32    64    128    256            × places the account holds
 *
 * At a tenant's own limit, only a client slower than 8 KiB/s loses its place.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { BoundedWork, Route } from "../../feature/route.ts";
import { type AtATimeOptions, createAtATime, type Leave } from "../../lib/at-a-time.ts";
import { type Holder, holderOf } from "../../lib/fair-shares.ts";
import { requestTimeout } from "../../lib/http-errors.ts";
import { shareOf } from "../../lib/worker-share.ts";
import type { Tenant } from "../../model/tenant.ts";

const limits = {
  imports: { tenant: 1, process: 4, waiting: 32, tenantWaiting: 0, retryAfter: 5 },
  exports: { tenant: 8, process: 16, waiting: 32, tenantWaiting: 0, retryAfter: 5 },
} as const satisfies Record<BoundedWork, Sizes>;

type Sizes = Required<Omit<AtATimeOptions, "what">>;

const bodyWithinMs = 120_000;
/** Less than the request timeout (30 s). */
const waitAtMostMs = 20_000;

/** Bytes per second: the minimum for every client, and the maximum that is ever required. */
const least = 8_192;
const enough = 262_144;

/** @throws tooManyAtOnce, serverBusy */
type Enter = (tenant: Tenant | undefined, call: Call) => Promise<void>;

interface Call {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

interface Placed {
  readonly holder: Holder;
  /** Recent bytes per second, measured only while the server waited for the client. */
  readonly pace: () => number;
  readonly giveUp: () => void;
}

/**
 * @param workers the node's workers, each of which gets a share
 * @returns the first step of the route's requests; undefined without `atATime`
 */
export function boundRoutes(workers: number): (route: Route) => Enter | undefined {
  const kinds = new Map(
    Object.entries(limits).map(([what, { tenant, process, ...sizes }]) => [
      what,
      createPlaces(what, {
        tenant: shareOf(tenant, workers),
        process: shareOf(process, workers),
        ...sizes,
      }),
    ]),
  );
  return ({ options: { atATime } }) => atATime && kinds.get(atATime);
}

function createPlaces(what: string, sizes: Sizes): Enter {
  const places = createAtATime({ what, ...sizes });
  const placed = new Set<Placed>();

  const waiters = new Set<{ seconds: number }>();
  let ticking: NodeJS.Timeout | undefined;

  /** Frees the slowest client's place if it is below the required rate. */
  const giveUpSlowest = (
    among: Iterable<Placed>,
    needed: number,
    paceOf: (one: Placed) => number,
  ): void => {
    const [slowest] = [...among].toSorted((a, b) => paceOf(a) - paceOf(b));
    if (slowest && paceOf(slowest) < needed) slowest.giveUp();
  };
  const makeWay = (seconds: number): void => {
    if (placed.size < sizes.process) return;
    const counts = Map.groupBy(placed, ({ holder: { group } }) => group);
    const needed = Math.min(enough, least * 2 ** seconds);
    giveUpSlowest(placed, needed, ({ pace, holder: { group } }) => {
      return pace() / (counts.get(group)?.length ?? 1);
    });
  };
  const tick = (): void => {
    for (const waiter of waiters) waiter.seconds += 1;
    makeWay(Math.max(...[...waiters].map(({ seconds }) => seconds)));
  };

  const enter = async (holder: Holder, answer: FastifyReply["raw"]): Promise<Leave> => {
    const own = [...placed].filter((each) => each.holder.name === holder.name);
    if (own.length >= sizes.tenant) giveUpSlowest(own, least, ({ pace }) => pace());
    else makeWay(0);
    const gone = new AbortController();
    const abort = () => gone.abort();
    const late = setTimeout(abort, waitAtMostMs).unref();
    answer.once("close", abort);
    const waiter = { seconds: 0 };
    waiters.add(waiter);
    ticking ??= setInterval(tick, 1_000).unref();
    try {
      return await places.enter(holder, gone.signal);
    } finally {
      waiters.delete(waiter);
      clearTimeout(late);
      answer.off("close", abort);
      if (waiters.size === 0) {
        clearInterval(ticking);
        ticking = undefined;
      }
    }
  };

  return async (tenant, call) => {
    const holder = holderOf(tenant);
    const answer = call.reply.raw;
    const leave = await enter(holder, answer);
    if (answer.destroyed) {
      leave();
      return;
    }
    const meter = createMeter(call);
    const place: Placed = {
      holder,
      pace: meter.pace,
      giveUp() {
        end();
        endCall(call);
      },
    };
    placed.add(place);
    const late = setTimeout(() => {
      if (!call.request.raw.complete) answer.destroy();
    }, bodyWithinMs).unref();
    const end = () => {
      meter.stop();
      clearTimeout(late);
      placed.delete(place);
      leave();
    };
    answer.once("close", end);
  };
}

/**
 * Samples once a second. Skips seconds in which the server did not wait for the client, and needs
 * five samples to judge.
 */
function createMeter({ request: { raw }, reply }: Call) {
  const moved = () => (raw.socket.bytesRead ?? 0) + (raw.socket.bytesWritten ?? 0);
  let before = moved();
  let pace = enough / 2;
  let young = 5;
  const timer = setInterval(() => {
    const now = moved();
    const waitsForBytes = !raw.complete && raw.readableLength === 0;
    const waitsForReader = reply.raw.writableLength > 0;
    if (waitsForBytes || waitsForReader || now - before > pace) pace = (pace + now - before) / 2;
    before = now;
    young -= 1;
  }, 1_000).unref();
  return {
    pace: () => (young > 0 ? Number.POSITIVE_INFINITY : pace),
    stop: () => clearInterval(timer),
  };
}

/**
 * Answers with an error if the response has not begun; otherwise only closing the connection is
 * left.
 */
function endCall({ request: { raw }, reply }: Call): void {
  if (reply.raw.headersSent || raw.complete) {
    reply.raw.destroy();
    return;
  }
  // Node does not abort the body of an answered request: its reader would wait forever.
  reply.raw.once("close", () => raw.destroy());
  reply.send(
    requestTimeout({
      detail: "The server dropped this slow request to make room for another. Retry.",
    }),
  );
}
