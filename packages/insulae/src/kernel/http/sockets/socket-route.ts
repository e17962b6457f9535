/**
 * The last step of a request for a WebSocket: its handler says what to do with the socket, or refuses
 * by throwing, and then the connection is taken over.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Route } from "../../feature/feature.ts";
import { AppError, asError } from "../../lib/errors.ts";
import { holderOf } from "../../lib/fair-shares.ts";
import { chain, type MaybePromise } from "../../lib/maybe-promise.ts";
import type { Logger } from "../../telemetry/log.ts";
import { type Caller, findState, requestLog } from "../state/request-state.ts";
import { type Sockets, type Talk, upgradeRequired } from "./sockets.ts";
import type { Upgrades } from "./upgrades.ts";

export interface SocketRequest {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly route: Route;
  readonly caller: Caller;
  /** Finds out who calls now, and whether they still may. */
  readonly checkCaller: () => MaybePromise<Caller>;
  /** Asks the route's handler. */
  readonly ask: (caller: Caller) => unknown;
}

/** @throws what the handler throws; upgradeRequired; tooManySockets */
export type OpenSocket = (request: SocketRequest) => void;

export function createOpenSocket(options: {
  readonly upgrades: Upgrades;
  readonly sockets: Sockets;
  readonly log: Logger;
}): OpenSocket {
  const { upgrades, sockets, log } = options;
  return ({ request, reply, route, caller, checkCaller, ask }) => {
    const talk = ask(caller);
    if (!isTalk(talk)) throw new Error(`the handler of ${route.path} gave no function`);
    const { tenant, user } = caller;
    const owner = {
      person: `${tenant?.id}/${user?.id ?? findState(request)?.client.block}`,
      group: holderOf(tenant).group,
      isPlatformAdmin: user?.kind === "core" && user.platformAdmin,
    };
    sockets.admit(owner);
    const taken = upgrades.take(request.raw);
    if (!taken) throw upgradeRequired({ headers: { upgrade: "websocket", connection: "upgrade" } });
    reply.hijack();
    sockets.open({
      owner,
      request: { ...taken, raw: request.raw },
      talk,
      check: () => chain(checkCaller(), ask),
      log: requestLog(request, log).child({
        route: findState(request)?.path,
        ip: findState(request)?.client.address,
      }),
    });
  };
}

/** What a route answers for an error; at a handshake nobody is asked to try again with credentials. */
export function refusalOf(route: Route, error: unknown): Error {
  if (!route.options.socket || !(error instanceof AppError) || error.status !== 401) {
    return asError(error);
  }
  const { code, title, detail } = error;
  return new AppError(
    { code, title, status: 403 },
    { cause: error, ...(detail !== undefined && { detail }) },
  );
}

const isTalk = (value: unknown): value is Talk => typeof value === "function";
