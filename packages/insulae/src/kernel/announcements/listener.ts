/**
 * Receives other processes' announcements (`NOTIFY`) in the main database, over one permanent
 * connection. That PostgreSQL accepted LISTEN does not mean that notifications arrive: the
 * connection may be half open, its server process stopped, or a pooler may have given the session
 * to somebody else. So the listener notifies itself once a second, on a channel of its own and over
 * another connection, and is listening only while that arrives:
 *
 *     connecting ── LISTEN, and its own notification ──► listening
 *          ▲                                                 │
 *          └──── nothing of its own for 3 s, or lost ────────┘
 *
 * `onGap` is called on both transitions: nothing cached before can be trusted. Notifications arrive
 * in order, so with its own one everything committed before has arrived. PostgreSQL wakes other
 * listeners for that channel, but sends them nothing.
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
   * Whether announcements are being received. If the clock says no, `onGap` has been called by the
   * time this returns, so a cache that checks before a look-up holds nothing stale.
   */
  readonly listening: () => boolean;
  /**
   * Starts, and resolves when announcements are received for the first time.
   *
   * @throws NotHeard if LISTEN works but nothing arrives
   */
  listen(): Promise<void>;
  /** How often announcements may have been missed since the start. */
  readonly gaps: () => number;
  close(): Promise<void>;
}

export interface ListenerOptions {
  readonly broker: Broker;
  readonly target: Target;
  readonly channel: string;
  readonly onMessage: (payload: string) => void;
  readonly onGap: () => void;
  /** Sends a notification, over another connection than the listening one. */
  readonly notify: (channel: string, payload: string) => Promise<unknown>;
  readonly log: Logger;
}

/** LISTEN was accepted, but nothing arrives. */
export class NotHeard extends Error {
  override readonly name = "NotHeard";

  constructor() {
    super(
      `no notification has arrived for ${silenceMs / 1_000} s on the listening connection. ` +
        "If there is a connection pooler in front of PostgreSQL, set DATABASE_DIRECT_URL to PostgreSQL itself (docs/poolers.md).",
    );
  }
}

const beatMs = 1_000;
const silenceMs = 3_000;
/** How many consecutive failures at the start before giving up. */
const firstTries = 3;

interface Hearing {
  /** When its last received notification was sent. */
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
    if (saidAway) log.warn("Announcements are received again");
    saidAway = false;
    first.resolve();
  };
  const end = (heard: Hearing): void => {
    if (hearing !== heard) return;
    hearing = undefined;
    gaps += 1;
    onGap();
  };

  /** Sends its own notifications, one at a time; if one is not confirmed, another after a while. */
  const createBeat = () => {
    let sending: { readonly since: number } | undefined;
    return () => {
      const since = performance.now();
      if (sending !== undefined && since - sending.since < silenceMs) return;
      const mine = { since };
      sending = mine;
      options
        .notify(own, String(since))
        .catch((error: unknown) => log.debug({ err: error }, "Could not send a heartbeat"))
        .finally(() => {
          if (sending === mine) sending = undefined;
        });
    };
  };
  const beat = createBeat();

  /**
   * Listens until the connection is lost or silent, or the listener is closed. @throws the reason
   */
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
      // The connection listens or hangs, so it is not reusable; don't wait for a clean close.
      lease.destroy(new Error("gave up the listening connection"));
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
          const message = "Announcements are not being received: bypassing caches; reconnecting";
          log.warn({ err: error }, message);
        }
        saidAway = true;
        if (error instanceof NotHeard) unheard += 1;
        // No effect after the first success.
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
