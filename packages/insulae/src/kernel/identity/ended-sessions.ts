/**
 * The sessions that have ended, for as long as a token of theirs could still be good. Every node has
 * them all, so that asking needs no query: read at first and after each gap, then told of each one
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
  /** No token counts for longer, whatever it was signed for. */
  readonly accessTtlSeconds: number;
  readonly follow: FollowAnnouncements;
}

/** By how much clocks may differ. */
const marginSeconds = 60;

export function createEndedSessions(options: EndedSessionsOptions): EndedSessions {
  const { control, follow } = options;
  const keptSeconds = options.accessTtlSeconds + marginSeconds;
  /** When each was heard of, the oldest first. */
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
