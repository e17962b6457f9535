/**
 * Browsers' sign-in sessions: rows of `control.sessions` like those of tokens, but identified by a
 * cookie. There is no refresh: use extends the session from time to time, asynchronously, up to a
 * maximum age, after which the user has to sign in again.
 *
 * An open session is cached for half a minute by the text of its cookie, so an ordinary request
 * needs no query and no hash. `ended-sessions.ts` reports sessions that ended meanwhile, as for
 * tokens.
 */
import { type Kysely, type SqlBool, sql } from "kysely";
import { LRUCache } from "lru-cache";
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import type { MaybePromise } from "../lib/maybe-promise.ts";
import type { Amr } from "../model/authentication-methods.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import type { SessionCookies } from "./session-cookie.ts";
import { keptUserAgent } from "./sessions.ts";

export const sessionCookie = "__Host-insulae";

export interface NewCookieSession {
  /** Undefined: `subjectId` is an account. */
  readonly tenantId: TenantId | undefined;
  readonly subjectId: AccountId | UserId;
  readonly epoch: string;
  readonly ip: string;
  readonly userAgent: string | undefined;
  /** How they proved who they are. */
  readonly amr: Amr;
  /** When they proved it; default: now. */
  readonly provedAt?: Date | undefined;
}

export interface CookieSession {
  readonly id: string;
  readonly tenantId: TenantId | undefined;
  readonly subject: string;
  readonly epoch: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

export interface CookieSessions {
  /** The cookie's Max-Age in seconds; by then the session has certainly ended. */
  readonly maxAgeSeconds: number;
  /** Begins a session. @returns the cookie's text, which is stored nowhere */
  open(session: NewCookieSession): Promise<{ readonly id: string; readonly cookie: string }>;
  /**
   * The open session of a cookie; synchronous if cached.
   *
   * @param unattended a background re-check: don't extend the session
   */
  find(cookie: string, unattended?: boolean): MaybePromise<CookieSession | undefined>;
  /** Ends the session of a cookie that the browser replaces. */
  end(cookie: string): Promise<void>;
  csrfToken(sessionId: string): string;
}

export interface CookieSessionsOptions {
  readonly control: Kysely<ControlTables>;
  readonly cookies: SessionCookies;
  /** How long an unused session lasts. */
  readonly idleSeconds: number;
  /** The maximum age of a session. */
  readonly maxSeconds: number;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

interface Known {
  /** Undefined: the cookie is genuine, but its session has ended. */
  readonly session: CookieSession | undefined;
  /** When it was last extended, in milliseconds. */
  usedAt: number;
}

export function createCookieSessions(options: CookieSessionsOptions): CookieSessions {
  const { control, cookies, idleSeconds, maxSeconds, log, clock = Date.now } = options;
  const known = new LRUCache<string, Known>({ max: 50_000, ttl: 30_000, ttlResolution: 100 });
  const waiting = new Map<string, Promise<CookieSession | undefined>>();
  const prolongEveryMs = Math.min(300_000, idleSeconds * 100);

  const load = async (hash: Buffer): Promise<Known> => {
    const row = await control
      .selectFrom("control.sessions")
      .select(["id", "tenant_id", "subject_id", "epoch", "created_at", "expires_at"])
      .select("last_used_at")
      .where("cookie_hash", "=", hash)
      .where(isOpen)
      .executeTakeFirst();
    return { session: row && sessionOf(row), usedAt: row?.last_used_at.getTime() ?? 0 };
  };

  const ask = (text: string): MaybePromise<CookieSession | undefined> => {
    const hash = cookies.hashOf(text);
    if (!hash) return undefined;
    const asking: Promise<CookieSession | undefined> = load(hash)
      .then((found) => {
        // Don't cache a session that ended meanwhile.
        if (waiting.get(text) === asking) known.set(text, found);
        return found.session;
      })
      .finally(() => {
        if (waiting.get(text) === asking) waiting.delete(text);
      });
    waiting.set(text, asking);
    return asking;
  };

  /** Not awaited: if it fails, the next request tries again. */
  const prolong = ({ id }: CookieSession): void => {
    control
      .updateTable("control.sessions")
      .set({
        last_used_at: sql<Date>`now()`,
        expires_at: sql<Date>`least(now() + make_interval(secs => ${idleSeconds}), prolonged_until)`,
      })
      .where("id", "=", id)
      .where(isOpen)
      .execute()
      .catch((error: unknown) => log.warn({ err: error }, "Could not extend a session"));
  };

  return {
    maxAgeSeconds: maxSeconds,
    async open({ tenantId, subjectId, epoch, ip, userAgent, amr, provedAt }) {
      const cookie = cookies.create();
      const { id } = await control
        .insertInto("control.sessions")
        .values({
          tenant_id: tenantId ?? null,
          subject_id: subjectId,
          kind: "cookie",
          epoch,
          amr: [...amr],
          proved_at: provedAt,
          ip,
          user_agent: keptUserAgent(userAgent),
          expires_at: after(Math.min(idleSeconds, maxSeconds)),
          prolonged_until: after(maxSeconds),
          cookie_hash: cookie.hash,
        })
        .returning("id")
        .executeTakeFirstOrThrow();
      return { id, cookie: cookie.text };
    },
    find(text, unattended = false) {
      const hit = known.get(text);
      if (!hit) return waiting.get(text) ?? ask(text);
      const { session } = hit;
      if (!session) return undefined;
      const now = clock();
      if (session.expiresAt.getTime() <= now) {
        // Another node may have extended it.
        known.delete(text);
        return ask(text);
      }
      if (!unattended && now - hit.usedAt > prolongEveryMs) {
        hit.usedAt = now;
        prolong(session);
      }
      return session;
    },
    async end(text) {
      const hash = cookies.hashOf(text);
      if (!hash) return;
      await control
        .updateTable("control.sessions")
        .set({ ended_at: sql<Date>`clock_timestamp()` })
        .where("cookie_hash", "=", hash)
        .where("ended_at", "is", null)
        .execute();
      known.delete(text);
      waiting.delete(text);
    },
    csrfToken: cookies.csrfToken,
  };
}

const isOpen = sql<SqlBool>`ended_at is null and expires_at > now()`;
const after = (seconds: number) => sql<Date>`now() + make_interval(secs => ${seconds})`;

const sessionOf = (row: {
  readonly id: string;
  readonly tenant_id: TenantId | null;
  readonly subject_id: string;
  readonly epoch: string;
  readonly created_at: Date;
  readonly expires_at: Date;
}): CookieSession =>
  Object.freeze({
    id: row.id,
    tenantId: row.tenant_id ?? undefined,
    subject: row.subject_id,
    epoch: row.epoch,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  });
