/**
 * The sessions that have ended, for as long as one of their tokens could still be valid. Every node
 * has all of them in memory: read at the start and after each gap, then updated by announcements
 * (`session:<id>`).
 */
import { type Kysely, sql } from "kysely";
import type { FollowAnnouncements } from "../announcements/followers.ts";
import { keepCurrent } from "../announcements/snapshot.ts";
import type { MaybePromise } from "../lib/maybe-promise.ts";
import type { ControlTables } from "../schema/control-tables.ts";

export interface EndedSessions {
  has(id: string): MaybePromise<boolean>;
  add(id: string): void;
}

export interface EndedSessionsOptions {
  readonly control: Kysely<ControlTables>;
  /** The maximum age of any token. */
  readonly accessTtlSeconds: number;
  readonly follow: FollowAnnouncements;
}

/** Tolerance for differing clocks. */
const marginSeconds = 60;

export function createEndedSessions(options: EndedSessionsOptions): EndedSessions {
  const { control, follow } = options;
  const keptSeconds = options.accessTtlSeconds + marginSeconds;
  /** When each was announced, oldest first. */
  const ended = new Map<string, number>();

  const add = (id: string): void => {
    const now = Date.now();
    for (const [other, at] of ended) {
      if (now - at < keptSeconds * 1000) break;
      ended.delete(other);
    }
    ended.set(id, now);
  };

  const copy = keepCurrent({
    async load() {
      const rows = await control
        .selectFrom("control.sessions")
        .select("id")
        .where("ended_at", ">", sql<Date>`now() - make_interval(secs => ${keptSeconds})`)
        .execute();
      for (const { id } of rows) if (!ended.has(id)) add(id);
    },
    follow: (stale) => follow({ session: add, anything: stale }),
  });

  return {
    has(id) {
      if (ended.has(id)) return true;
      return copy.ready()?.then(() => ended.has(id)) ?? false;
    },
    add,
  };
}
