/**
 * Sign-in sessions: one row of `control.sessions` per sign-in. Its access tokens and its chain of
 * refresh tokens end with it. Times are the database's, so all nodes agree.
 *
 * A refresh token works once: the row stores the current generation, and one conditional UPDATE
 * advances it, so of several concurrent uses exactly one succeeds. The others, and clients that
 * lost the response, get the same successor for a few seconds. Any other reuse of a genuine token
 * means that it was copied: the session ends, for thief and owner.
 */
import { type Kysely, type SqlBool, sql } from "kysely";
import { deleteInBatches } from "../data/delete-in-batches.ts";
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import type { Amr } from "../model/authentication-methods.ts";
import type { TenantStatus } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { keptText } from "../telemetry/redact.ts";
import type { SessionKind } from "./credential.ts";
import {
  hashRefreshSecret,
  newRefreshSecret,
  type RefreshToken,
  type RefreshTokens,
} from "./refresh-tokens.ts";

/** Whose sessions: those of a tenant's user, or (undefined) of an account. */
export interface SessionOwner {
  readonly tenantId: TenantId | undefined;
  readonly subjectId: AccountId | UserId;
}

export interface NewSession extends SessionOwner {
  readonly kind: SessionKind;
  /** The owner's epoch, read together with what they proved. */
  readonly epoch: string;
  readonly ip: string;
  readonly userAgent: string | undefined;
  readonly impersonator: AccountId | undefined;
  /** How they proved who they are. */
  readonly amr: Amr;
  /** When they proved it; default: now. */
  readonly provedAt?: Date | undefined;
  /** After this it ends, and it has no refresh token. Default: as long as it is refreshed. */
  readonly lifetimeSeconds: number | undefined;
}

/** A session as returned from sign-in or refresh. */
export interface Session {
  readonly id: string;
  readonly expiresAt: Date;
  readonly epoch: string;
  readonly refreshToken: string | undefined;
  readonly impersonator: AccountId | undefined;
  readonly amr: Amr;
}

/** How, and how long ago, a session's subject proved who they are. */
export interface SessionProof {
  readonly amr: Amr;
  readonly provedAt: Date;
  readonly ageSeconds: number;
  /** When the session ends, unless it is extended. */
  readonly expiresAt: Date;
}

/** The session of a presented refresh token. */
export interface RefreshableSession extends SessionOwner {
  readonly token: RefreshToken;
  readonly epoch: string;
  readonly amr: Amr;
  readonly tenantStatus: TenantStatus | null;
}

export interface Sessions {
  open(session: NewSession): Promise<Session>;
  /**
   * The session of a genuine refresh token, if it is open. Only `rotate` tells whether the token is
   * the current one.
   */
  findByRefreshToken(text: string): Promise<RefreshableSession | undefined>;
  /**
   * Replaces the token by its successor.
   *
   * @returns `reused` if the token was used before: the session has then been ended; undefined if
   * the session has ended or expired
   */
  rotate(
    session: RefreshableSession,
    client: { readonly ip: string; readonly userAgent: string | undefined },
  ): Promise<Session | "reused" | undefined>;
  /**
   * Gives the session a fresh refresh token, independent of earlier ones; undefined if the session
   * has ended, expired, or never had one.
   */
  renew(
    id: string,
    client: { readonly ip: string; readonly userAgent: string | undefined },
  ): Promise<Session | undefined>;
  /** Undefined if it has ended or expired; read from the database. */
  findProof(id: string): Promise<SessionProof | undefined>;
  /** Records that the subject has proved again who they are. */
  prove(id: string, amr: Amr): Promise<void>;
  /** Ends it on all nodes. @param owner only if it is theirs. @returns whether it existed */
  end(id: string, owner?: SessionOwner): Promise<boolean>;
  /** Open sessions, newest first. @param epoch the owner's current one */
  list(
    owner: SessionOwner & { readonly epoch: string },
    page: { readonly limit: number; readonly before: string | undefined },
  ): Promise<SessionRow[]>;
  /** Deletes sessions that can't be used any more. */
  sweep(): Promise<void>;
}

export type SessionRow = Awaited<ReturnType<typeof selectOpen>>[number];

export interface SessionsOptions {
  readonly control: Kysely<ControlTables>;
  readonly refreshTokens: RefreshTokens;
  readonly refreshTtlSeconds: number;
  readonly accessTtlSeconds: number;
  /** Called when a session ends on this node, to announce it. */
  readonly onEnded: (id: string) => void;
}

/** How long a lost response can be requested again. */
const graceSeconds = 10;

export function createSessions(options: SessionsOptions): Sessions {
  const { control, refreshTokens, refreshTtlSeconds, accessTtlSeconds, onEnded } = options;

  const end: Sessions["end"] = async (id, owner) => {
    const ended = control
      .updateTable("control.sessions")
      .set({ ended_at: now })
      .where("id", "=", id)
      .where(isOpen);
    const { numUpdatedRows } = await (owner ? ended.where(isOf(owner)) : ended).executeTakeFirst();
    if (numUpdatedRows === 0n) return false;
    onEnded(id);
    return true;
  };

  return {
    async open({ lifetimeSeconds, ...session }) {
      const secret = lifetimeSeconds === undefined ? newRefreshSecret() : undefined;
      const { id, expires_at } = await control
        .insertInto("control.sessions")
        .values({
          tenant_id: session.tenantId ?? null,
          subject_id: session.subjectId,
          kind: session.kind,
          epoch: session.epoch,
          impersonator_id: session.impersonator ?? null,
          amr: [...session.amr],
          proved_at: session.provedAt,
          ip: session.ip,
          user_agent: keptUserAgent(session.userAgent),
          expires_at: after(lifetimeSeconds ?? refreshTtlSeconds),
          refresh_hash: secret ? hashRefreshSecret(secret) : null,
        })
        .returning(["id", "expires_at"])
        .executeTakeFirstOrThrow();
      const { epoch, impersonator, amr } = session;
      const refreshToken = secret && refreshTokens.print({ sessionId: id, generation: 0, secret });
      return { id, expiresAt: expires_at, epoch, refreshToken, impersonator, amr };
    },

    async findByRefreshToken(text) {
      const token = refreshTokens.parse(text);
      if (!token) return undefined;
      const row = await control
        .selectFrom("control.sessions as session")
        .leftJoin("control.tenants as tenant", "tenant.id", "session.tenant_id")
        .select(["session.tenant_id", "subject_id", "epoch", "amr", "tenant.status"])
        .where("session.id", "=", token.sessionId)
        .where(isOpen)
        .executeTakeFirst();
      if (!row) return undefined;
      const { tenant_id, subject_id: subjectId, epoch, amr, status: tenantStatus } = row;
      return { token, tenantId: tenant_id ?? undefined, subjectId, epoch, amr, tenantStatus };
    },

    async rotate({ token }, client) {
      const next = refreshTokens.successor(token);
      const refreshToken = refreshTokens.print(next);
      const rotated = await control
        .updateTable("control.sessions")
        .set({
          refresh_generation: next.generation,
          refresh_hash: hashRefreshSecret(next.secret),
          refreshed_at: now,
          last_used_at: now,
          expires_at: after(refreshTtlSeconds),
          ip: client.ip,
          user_agent: keptUserAgent(client.userAgent),
        })
        .where("id", "=", token.sessionId)
        .where(isOpen)
        .where("refresh_generation", "=", token.generation)
        .where("refresh_hash", "=", hashRefreshSecret(token.secret))
        .returning(["id", "expires_at", "epoch", "impersonator_id", "amr"])
        .executeTakeFirst();
      if (rotated) return { ...sessionOf(rotated), refreshToken };

      const row = await control
        .selectFrom("control.sessions")
        .select(["id", "expires_at", "epoch", "impersonator_id", "amr"])
        .select(["refresh_generation", "refresh_hash"])
        .select(isRecent.as("recent"))
        .where("id", "=", token.sessionId)
        .where(isOpen)
        .executeTakeFirst();
      // A genuine token of a future generation: the database was restored from a backup.
      if (!row || row.refresh_generation <= token.generation) return undefined;
      const isPredecessor = row.refresh_hash?.equals(hashRefreshSecret(next.secret));
      if (isPredecessor && row.recent) return { ...sessionOf(row), refreshToken };
      await end(token.sessionId);
      return "reused";
    },

    async renew(id, client) {
      const secret = newRefreshSecret();
      const renewed = await control
        .updateTable("control.sessions")
        .set({
          refresh_generation: sql<number>`refresh_generation + 1`,
          refresh_hash: hashRefreshSecret(secret),
          refreshed_at: now,
          last_used_at: now,
          expires_at: after(refreshTtlSeconds),
          ip: client.ip,
          user_agent: keptUserAgent(client.userAgent),
        })
        .where("id", "=", id)
        .where(isOpen)
        .where("refresh_hash", "is not", null)
        .returning(["id", "expires_at", "epoch", "impersonator_id", "amr", "refresh_generation"])
        .executeTakeFirst();
      if (!renewed) return undefined;
      const token = { sessionId: id, generation: renewed.refresh_generation, secret };
      return { ...sessionOf(renewed), refreshToken: refreshTokens.print(token) };
    },

    async findProof(id) {
      const row = await control
        .selectFrom("control.sessions")
        .select(["amr", "proved_at", "expires_at"])
        .select(sql<number>`extract(epoch from now() - proved_at)::float8`.as("age"))
        .where("id", "=", id)
        .where(isOpen)
        .executeTakeFirst();
      if (!row) return undefined;
      const { amr, proved_at: provedAt, age: ageSeconds, expires_at: expiresAt } = row;
      return { amr, provedAt, ageSeconds, expiresAt };
    },
    async prove(id, amr) {
      await control
        .updateTable("control.sessions")
        .set({ proved_at: now, amr: [...amr] })
        .where("id", "=", id)
        .where(isOpen)
        .execute();
    },
    end,
    list: (owner, page) => selectOpen(control, owner, page),

    async sweep() {
      // Sessions that ended early are kept until their last tokens have expired, plus a day.
      const tokensLast = sql`make_interval(days => 1, secs => ${accessTtlSeconds})`;
      for (const over of [
        sql`expires_at < now() - interval '1 day'`,
        sql`ended_at < now() - ${tokensLast}`,
      ]) {
        await deleteInBatches(control, "control.sessions", over);
      }
    },
  };
}

const now = sql<Date>`clock_timestamp()`;
const after = (seconds: number) => sql<Date>`now() + make_interval(secs => ${seconds})`;
const isOpen = sql<SqlBool>`ended_at is null and expires_at > now()`;
const isRecent = sql<boolean>`refreshed_at > now() - make_interval(secs => ${graceSeconds})`;

/** Matches the index; `is not distinct from` would read all sessions of the subject. */
const isOf = ({ subjectId, tenantId }: SessionOwner) => {
  const isThere = tenantId === undefined ? sql`tenant_id is null` : sql`tenant_id = ${tenantId}`;
  return sql<SqlBool>`subject_id = ${subjectId} and ${isThere}`;
};

/** The stored user agent: arbitrary client input, truncated. */
export const keptUserAgent = (userAgent: string | undefined): string | null =>
  userAgent === undefined ? null : keptText(userAgent, 300);

const sessionOf = (row: {
  readonly id: string;
  readonly expires_at: Date;
  readonly epoch: string;
  readonly impersonator_id: AccountId | null;
  readonly amr: Amr;
}) => ({
  id: row.id,
  expiresAt: row.expires_at,
  epoch: row.epoch,
  impersonator: row.impersonator_id ?? undefined,
  amr: row.amr,
});

const selectOpen = (
  control: Kysely<ControlTables>,
  owner: SessionOwner & { readonly epoch: string },
  { limit, before }: { readonly limit: number; readonly before: string | undefined },
) =>
  control
    .selectFrom("control.sessions")
    .select(["id", "kind", "ip", "user_agent", "impersonator_id", "amr"])
    .select(["created_at", "last_used_at", "expires_at"])
    .where(isOf(owner))
    .where("epoch", "=", owner.epoch)
    .where(isOpen)
    .$if(before !== undefined, (query) => query.where("id", "<", before ?? ""))
    // Matches the index; ordering by a constant null has no effect.
    .orderBy("tenant_id", "desc")
    .orderBy("id", "desc")
    .limit(limit)
    .execute();
