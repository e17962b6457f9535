/**
 * Hears what other processes announce (`NOTIFY`) in the main database, over one connection that is
 * never given back. While it is away nothing can be trusted to be current: `onGap` is called when
 * the connection is lost and again when it is back, and `listening()` is false in between.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../telemetry/log.ts";
import type { Broker } from "./broker.ts";
import type { Target } from "./target.ts";

export interface Listener {
  readonly listening: () => boolean;
  /** Begins, and resolves when announcements are heard for the first time. */
  listen(): Promise<void>;
  close(): Promise<void>;
}

export interface ListenerOptions {
  readonly broker: Broker;
  readonly target: Target;
  readonly channel: string;
  readonly onMessage: (payload: string) => void;
  readonly onGap: () => void;
  readonly log: Logger;
}

export function createListener(options: ListenerOptions): Listener {
  const { broker, target, channel, onMessage, onGap, log } = options;
  const closing = new AbortController();
  const first = Promise.withResolvers<void>();
  let listening = false;

  /** Listens until the connection is lost or the listener is closed. */
  const listenOnce = async (): Promise<void> => {
    const lost = Promise.withResolvers<void>();
    const stop = () => lost.resolve();
    const lease = await broker.lease(target, { lost: stop, signal: closing.signal });
    lease.client.on("notification", (message) => onMessage(message.payload ?? ""));
    closing.signal.addEventListener("abort", stop, { once: true });
    try {
      await lease.client.query(`listen ${channel}`);
      onGap();
      listening = true;
      first.resolve();
      await lost.promise;
    } finally {
      listening = false;
      closing.signal.removeEventListener("abort", stop);
      // Its session listens: it can't serve anybody else.
      lease.destroy();
      onGap();
    }
  };

  const run = async (): Promise<void> => {
    for (let wait = 100; !closing.signal.aborted; wait = Math.min(wait * 2, 2_000)) {
      try {
        await listenOnce();
        wait = 100;
      } catch (error) {
        log.warn({ err: error }, "Announcements can't be heard; trying again");
      }
      await sleep(wait, undefined, { signal: closing.signal }).catch(() => undefined);
    }
    first.resolve();
  };
  let running: Promise<void> | undefined;

  return {
    listening: () => listening,
    listen() {
      running ??= run();
      return first.promise;
    },
    async close() {
      closing.abort();
      await running;
    },
  };
}
