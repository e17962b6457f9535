/**
 * Whether each database server answers; a circuit breaker for each.
 *
 *   answers ── three connects in a row fail, or nothing is heard for 2 s and a probe fails ──► down
 *   down ── a probe, once a second, is answered ──► answers
 *
 * A server that hangs (a stopped process, a dead disk, a cut network) refuses nothing: its sockets stay
 * open, and its own `statement_timeout` never fires. So silence is counted here: while something is
 * expected of a server and nothing has come from it on any connection, it is asked on a new one. A
 * slow statement is no failure, since a probe is answered meanwhile. Silence is counted in looks, not by
 * the clock: a process that was suspended itself has not waited.
 *
 * Why not opossum or cockatiel: they wrap calls, and count what each call made of it. Here the evidence
 * is the sockets' (bytes, connects), and what has to happen is that the connections go.
 */
import { AppError } from "../lib/errors.ts";
import { isAnswer } from "./errors.ts";
import type { Target } from "./target.ts";

export interface ServerHealth {
  isDown(serverId: string): boolean;
  /** Those that it knows, whether they answer. */
  states(): ReadonlyMap<string, boolean>;
  connected(target: Target): void;
  couldNotConnect(target: Target, error: unknown): void;
  /** To be called every `lookMs`. @param sockets of all connections, those being opened included. */
  look(sockets: Iterable<WatchedSocket>): void;
  /** Forgets what it knows of the server, such as after its address has changed. */
  forget(serverId: string): void;
  close(): void;
}

/** What of a connection shows that its server lives. */
export interface WatchedSocket {
  readonly target: Target;
  /** Something is expected of the server: a connection, an answer, or that it closes. */
  readonly isWaiting: boolean;
  /** Something has come since the last look. */
  readonly wasHeard: boolean;
}

export interface ServerHealthOptions {
  /** Asks the server on a new connection; rejects if there is no answer in time. */
  readonly probe: (target: Target) => Promise<void>;
  readonly onDown: (serverId: string, reason: Error) => void;
  readonly onUp: (serverId: string) => void;
}

interface State {
  isDown: boolean;
  /** In a row, with nothing heard in between. */
  failures: number;
  silentLooks: number;
  probing: boolean;
  timer: NodeJS.Timeout | undefined;
}

export const lookMs = 500;
const silentLooksAllowed = 4;
const failuresAllowed = 3;
const probeEveryMs = 1_000;

export function createServerHealth(options: ServerHealthOptions): ServerHealth {
  const servers = new Map<string, State>();
  let closed = false;

  const stateOf = (serverId: string): State => {
    let state = servers.get(serverId);
    if (state === undefined) {
      state = { isDown: false, failures: 0, silentLooks: 0, probing: false, timer: undefined };
      servers.set(serverId, state);
    }
    return state;
  };
  /** What it was asked for may be forgotten by now. */
  const isCurrent = (serverId: string, state: State) => !closed && servers.get(serverId) === state;

  const heard = (state: State) => {
    state.failures = 0;
    state.silentLooks = 0;
  };

  const goDown = (target: Target, state: State, reason: unknown) => {
    if (state.isDown) return;
    state.isDown = true;
    const cause = reason instanceof Error ? reason : new Error(String(reason));
    options.onDown(target.serverId, new ServerDown(cause));
    probeLater(target, state);
  };

  const goUp = ({ serverId }: Target, state: State) => {
    heard(state);
    if (!state.isDown) return;
    state.isDown = false;
    clearTimeout(state.timer);
    options.onUp(serverId);
  };

  const probe = async (target: Target, state: State) => {
    state.probing = true;
    const failure = await options.probe(target).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    state.probing = false;
    if (!isCurrent(target.serverId, state)) return;
    if (failure === undefined || isAnswer(failure.error)) goUp(target, state);
    else if (state.isDown) probeLater(target, state);
    else if (!isOurs(failure.error)) goDown(target, state, failure.error);
  };

  const probeLater = (target: Target, state: State) => {
    state.timer = setTimeout(() => void probe(target, state), probeEveryMs).unref();
  };

  return {
    isDown: (serverId) => servers.get(serverId)?.isDown === true,
    states: () => new Map([...servers].map(([id, { isDown }]) => [id, !isDown])),
    connected: (target) => goUp(target, stateOf(target.serverId)),
    couldNotConnect(target, error) {
      if (isOurs(error)) return;
      const state = stateOf(target.serverId);
      if (isAnswer(error)) return heard(state);
      state.failures += 1;
      if (state.failures >= failuresAllowed) goDown(target, state, error);
    },
    look(sockets) {
      const waiting = new Map<string, Target>();
      const speaking = new Set<string>();
      for (const { target, isWaiting, wasHeard } of sockets) {
        if (isWaiting) waiting.set(target.serverId, target);
        if (wasHeard) speaking.add(target.serverId);
      }
      for (const [id, state] of servers) {
        const target = waiting.get(id);
        if (speaking.has(id)) heard(state);
        else if (target === undefined) state.silentLooks = 0;
        else if (!state.isDown && !state.probing) {
          state.silentLooks += 1;
          if (state.silentLooks >= silentLooksAllowed) void probe(target, state);
        }
      }
      for (const id of waiting.keys()) stateOf(id);
    },
    forget(serverId) {
      clearTimeout(servers.get(serverId)?.timer);
      servers.delete(serverId);
    },
    close() {
      closed = true;
      for (const { timer } of servers.values()) clearTimeout(timer);
    },
  };
}

/** It was not asked: the control plane could not say how. */
const isOurs = (error: unknown): boolean => error instanceof AppError;

/** Why connections to a server were given up. */
export class ServerDown extends Error {
  constructor(cause: Error) {
    super(`the server does not answer: ${cause.message}`, { cause });
    this.name = "ServerDown";
  }
}
