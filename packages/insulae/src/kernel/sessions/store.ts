/**
 * Stores sessions with the tenant's data in PostgreSQL, or in Redis if there is one.
 *
 * Nothing depends on Redis. While it is unavailable, sessions are stored in PostgreSQL, where those
 * in Redis are missing: their data starts empty. When Redis is back, its sessions apply again, and
 * a session that only PostgreSQL has moves to Redis with its next change.
 */
import type { TenantDatabase } from "../data/tenant-database.ts";
import type { TenantId } from "../lib/ids.ts";
import { tenantKey } from "../lib/tenant-keys.ts";
import { type Redis, RedisAbsent } from "../redis/redis.ts";
import { defineScript } from "../redis/script.ts";

/** One session of one tenant. */
export interface Place {
  readonly tenantId: TenantId;
  readonly db: TenantDatabase<Record<never, never>>;
  readonly id: string;
}

export interface Stored {
  readonly revision: string;
  readonly sealed: string;
  readonly from: "postgres" | "redis";
}

export interface SessionStore {
  load(place: Place): Promise<Stored | undefined>;
  /** @returns false if somebody else has saved since `before` was loaded */
  save(place: Place, before: Stored | undefined, next: Next): Promise<boolean>;
  destroy(place: Place): Promise<void>;
}

export interface Next {
  readonly revision: string;
  readonly sealed: string;
  readonly ttlSeconds: number;
}

export function createSessionStore(redis: Redis | undefined): SessionStore {
  return redis ? withRedis(redis) : postgres;
}

const postgres: SessionStore = {
  async load({ db, id }) {
    const [row] = await db.query<{ revision: string; sealed: string }>(
      "select revision, sealed from session_data where id = $1 and expires_at > now()",
      [id],
    );
    return row && { ...row, from: "postgres" };
  },
  async save({ db, id }, before, { revision, sealed, ttlSeconds }) {
    const saved = before
      ? await db.query(
          `update session_data
           set revision = $2, sealed = $3, expires_at = now() + make_interval(secs => $4)
           where id = $1 and revision = $5
           returning id`,
          [id, revision, sealed, ttlSeconds, before.revision],
        )
      : await db.query(
          // Deletes some expired sessions too, so that no sweep is needed.
          `with expired as (
             select id from session_data where expires_at < now() and id <> $1 limit 100
           ),
           swept as (
             delete from session_data as old using expired where old.id = expired.id
           )
           insert into session_data as known (id, revision, sealed, expires_at)
           values ($1, $2, $3, now() + make_interval(secs => $4))
           on conflict (tenant_id, id) do update
             set revision = excluded.revision, sealed = excluded.sealed,
               expires_at = excluded.expires_at
             where known.expires_at < now()
           returning id`,
          [id, revision, sealed, ttlSeconds],
        );
    return saved.length > 0;
  },
  async destroy({ db, id }) {
    await db.query("delete from session_data where id = $1", [id]);
  },
};

/** The revision, a UUID, precedes the encrypted data. */
const revisionLength = 36;

const compareAndSet = defineScript(`
  local present = redis.call('GET', KEYS[1])
  if (present and string.sub(present, 1, ${revisionLength}) or '') ~= ARGV[1] then return 0 end
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
  return 1
`);

function withRedis(redis: Redis): SessionStore {
  const keyOf = ({ tenantId, id }: Place) => tenantKey(tenantId, "session", id);
  /** @returns the result of the fallback while Redis is unavailable */
  const orElse = async <T>(ask: () => Promise<T>, fallback: () => Promise<T>): Promise<T> => {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof RedisAbsent) return fallback();
      throw error;
    }
  };

  return {
    async load(place) {
      const text = await orElse<unknown>(
        () => redis.run((client) => client.sendCommand(["GET", keyOf(place)])),
        async () => null,
      );
      if (typeof text !== "string") return postgres.load(place);
      const [revision, sealed] = [text.slice(0, revisionLength), text.slice(revisionLength)];
      return { revision, sealed, from: "redis" };
    },
    save(place, before, next) {
      const expected = before?.from === "redis" ? before.revision : "";
      const value = next.revision + next.sealed;
      return orElse(
        async () => {
          const saved = await redis.run((client) =>
            compareAndSet(client, [keyOf(place)], [expected, value, String(next.ttlSeconds)]),
          );
          if (saved === 1 && before?.from === "postgres") await postgres.destroy(place);
          return saved === 1;
        },
        () => postgres.save(place, before?.from === "postgres" ? before : undefined, next),
      );
    },
    async destroy(place) {
      await orElse(
        () => redis.run((client) => client.sendCommand(["DEL", keyOf(place)])),
        async () => undefined,
      );
      await postgres.destroy(place);
    },
  };
}
