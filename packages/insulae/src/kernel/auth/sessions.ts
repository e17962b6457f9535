/**
 * Sign-in sessions: one row of `control.sessions` is one log-in. What hangs on it (tokens now) ends
 * with it. Times are the database's, so that all nodes agree.
 */
import { type Kysely, sql } from "kysely";
import type { ControlTables } from "../database/control-tables.ts";
import type { AccountId, TenantId, UserId } from "../tenancy/tenant.ts";
import type { SessionKind } from "./credential.ts";
import { hashRefreshSecret, newRefreshSecret, type RefreshTokens } from "./refresh-tokens.ts";

export interface NewSession {
  /** Undefined: `subjectId` is an account. */
  readonly tenantId: TenantId | undefined;
  readonly subjectId: AccountId | UserId;
  readonly kind: SessionKind;
  /** The subject's, as it was read together with what they proved. */
  readonly epoch: string;
  readonly ip: string;
  readonly userAgent: string | undefined;
  readonly impersonator: AccountId | undefined;
  /** Default: as long as a refresh token, and longer each time it is refreshed. */
  readonly lifetimeSeconds: number | undefined;
}

export interface Session {
  readonly id: string;
  readonly expiresAt: Date;
  /** Its first refresh token. */
  readonly refreshToken: string;
}

export interface Sessions {
  open(session: NewSession): Promise<Session>;
}

export interface SessionsOptions {
  readonly control: Kysely<ControlTables>;
  readonly refreshTokens: RefreshTokens;
  readonly refreshTtlSeconds: number;
}

export function createSessions(options: SessionsOptions): Sessions {
  const { control, refreshTokens, refreshTtlSeconds } = options;
  return {
    async open({ lifetimeSeconds = refreshTtlSeconds, ...session }) {
      const secret = newRefreshSecret();
      const { id, expires_at } = await control
        .insertInto("control.sessions")
        .values({
          tenant_id: session.tenantId ?? null,
          subject_id: session.subjectId,
          kind: session.kind,
          epoch: session.epoch,
          impersonator_id: session.impersonator ?? null,
          ip: session.ip,
          user_agent: session.userAgent?.slice(0, 300) ?? null,
          expires_at: after(lifetimeSeconds),
          refresh_hash: hashRefreshSecret(secret),
        })
        .returning(["id", "expires_at"])
        .executeTakeFirstOrThrow();
      const refreshToken = refreshTokens.print({ sessionId: id, generation: 0, secret });
      return { id, expiresAt: expires_at, refreshToken };
    },
  };
}

const after = (seconds: number) => sql<Date>`now() + make_interval(secs => ${seconds})`;
