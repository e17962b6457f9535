/**
 * Hears what other processes announce (`NOTIFY`) in the main database, over one connection that is
 * never given back. That PostgreSQL has taken the LISTEN does not mean that anything arrives: the
 * connection may be half open, its server process stopped, or a pooler has given the session to
 * somebody else. So a listener notifies itself once a second, on a channel of its own and over another
 * connection, and is heard from only while that arrives:
 *
 *     connecting ── LISTEN, and its own notification ──► listening
 *          ▲                                                 │
 *          └──── nothing of its own for 3 s, or lost ────────┘
 *
 * `onGap` is called at both arrows: nothing that was cached before can be trusted to be current. What
 * is heard was sent in order, so with its own notification all has arrived that was committed before
 * it. For the channel of its own PostgreSQL wakes other listeners, and sends them nothing.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Notification } from "pg";
import type { Broker } from "../engine/broker.ts";
import type { Target } from "../engine/target.ts";
import { withDeadline } from "../lib/deadline.ts";
import type { Logger } from "../telemetry/log.ts";

export interface Listener {
  /**
   * Whether announcements are heard. Where the clock says that they no longer are, `onGap` has been
   * called by the time this returns, so that a cache that asks before it looks has nothing old.
   */
  readonly listening: () => boolean;
  /**
   * Begins, and resolves when announcements are heard for the first time.
   *
   * @throws NotHeard if LISTEN works and nothing arrives.
   */
  listen(): Promise<void>;
  /** How often announcements may have been missed, since the start. */
  readonly gaps: () => number;
  close(): Promise<void>;
}

export interface ListenerOptions {
  readonly broker: Broker;
  readonly target: Target;
  readonly channel: string;
  readonly onMessage: (payload: string) => void;
  readonly onGap: () => void;
  /** Sends a notification, over a connection other than the one that listens. */
  readonly notify: (channel: string, payload: string) => Promise<unknown>;
  readonly log: Logger;
}

/** LISTEN was taken, and nothing comes. */
export class NotHeard extends Error {
  override readonly name = "NotHeard";

  constructor() {
    super(
      `no notification has arrived for ${silenceMs / 1_000} s over the connection that listens. ` +
        "If there is a connection pooler before PostgreSQL, set DATABASE_DIRECT_URL to PostgreSQL itself (docs/poolers.md).",
    );
  }
}

const beatMs = 1_000;
const silenceMs = 3_000;
/** So often in a row nothing may arrive at the start before it is given up. */
const firstTries = 3;

interface Hearing {
  /** When the last notification of its own was sent that has arrived. */
  sentAt: number;
  readonly end: (error: Error) => void;
}

export function createListener(options: ListenerOptions): Listener {
  const { broker, target, channel, onMessage, onGap, log } = options;
  const own = `insulae_${randomBytes(8).toString("hex")}`;
  const closing = new AbortController();
  const first = Promise.withResolvers<void>();
  let hearing: Hearing | undefined;
  let gaps = 0;
  let saidAway = false;

  const listening = (): boolean => {
    if (hearing === undefined) return false;
    if (performance.now() - hearing.sentAt <= silenceMs) return true;
    hearing.end(new NotHeard());
    return false;
  };

  const begin = (heard: Hearing): void => {
    onGap();
    hearing = heard;
    if (saidAway) log.warn("Announcements are heard again");
    saidAway = false;
    first.resolve();
  };
  const end = (heard: Hearing): void => {
    if (hearing !== heard) return;
    hearing = undefined;
    gaps += 1;
    onGap();
  };

  /** Sends what it is to hear, one at a time; should one get no answer, another after a while. */
  const createBeat = () => {
    let sending: { readonly since: number } | undefined;
    return () => {
      const since = performance.now();
      if (sending !== undefined && since - sending.since < silenceMs) return;
      const mine = { since };
      sending = mine;
      options
        .notify(own, String(since))
        .catch((error: unknown) => log.debug({ err: error }, "A heartbeat could not be sent"))
        .finally(() => {
          if (sending === mine) sending = undefined;
        });
    };
  };
  const beat = createBeat();

  /** Listens until the connection is lost or silent, or the listener is closed. @throws why */
  const listenOnce = async (): Promise<void> => {
    const over = Promise.withResolvers<never>();
    over.promise.catch(() => undefined);
    const lease = await broker.lease(target, { lost: over.reject, signal: closing.signal });
    const heard: Hearing = {
      sentAt: performance.now(),
      end(error) {
        end(heard);
        over.reject(error);
      },
    };
    const stop = () => heard.end(new Error("closed"));
    let alarm: NodeJS.Timeout | undefined;
    const watch = () => {
      clearTimeout(alarm);
      const leftMs = silenceMs - (performance.now() - heard.sentAt);
      alarm = setTimeout(() => heard.end(new NotHeard()), Math.max(leftMs, 0));
    };
    const onNotification = (message: Notification) => {
      const { payload = "" } = message;
      if (message.channel !== own) return onMessage(payload);
      heard.sentAt = Math.max(heard.sentAt, Number(payload));
      watch();
      if (hearing !== heard) begin(heard);
    };
    const beats = setInterval(beat, beatMs);
    closing.signal.addEventListener("abort", stop, { once: true });
    lease.client.on("notification", onNotification);
    try {
      for (const each of [own, channel]) {
        await withDeadline(silenceMs, () => lease.client.query(`listen ${each}`), closing.signal);
      }
      watch();
      beat();
      await over.promise;
    } finally {
      clearTimeout(alarm);
      clearInterval(beats);
      closing.signal.removeEventListener("abort", stop);
      lease.client.off("notification", onNotification);
      // Its session listens, or hangs: it serves nobody else, and nobody waits for its farewell.
      lease.destroy(new Error("the connection that listened was given up"));
      end(heard);
    }
  };

  const run = async (): Promise<void> => {
    let unheard = 0;
    let wait = 100;
    while (!closing.signal.aborted) {
      const began = performance.now();
      await listenOnce().catch((error: unknown) => {
        if (closing.signal.aborted) return;
        if (!saidAway) {
          const message = "Announcements can't be heard: nothing cached is believed; reconnecting";
          log.warn({ err: error }, message);
        }
        saidAway = true;
        if (error instanceof NotHeard) unheard += 1;
        // Of no effect once it was heard for the first time.
        if (unheard >= firstTries) first.reject(error);
      });
      wait = performance.now() - began > 10_000 ? 100 : Math.min(wait * 2, 2_000);
      await sleep(wait, undefined, { signal: closing.signal }).catch(() => undefined);
    }
    first.resolve();
  };
  let running: Promise<void> | undefined;

  return {
    listening,
    listen() {
      running ??= run();
      return first.promise;
    },
    gaps: () => gaps,
    async close() {
      closing.abort();
      await running;
    },
  };
}
