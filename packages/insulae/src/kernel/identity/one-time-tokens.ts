/**
 * One-time tokens that are sent to somebody: 256 random bits, stored as a hash, for one purpose and
 * subject and a limited time. A new token replaces the older one of the same purpose, unless
 * `several`. Redeeming deletes it in one statement: of any number of concurrent attempts, one
 * succeeds.
 *
 * A fast hash suffices: 256 random bits can't be guessed.
 */
import { createHash, randomBytes } from "node:crypto";
import { type Kysely, sql } from "kysely";
import { deleteInBatches } from "../data/delete-in-batches.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { type Subject, subjectOf } from "./subject.ts";

export interface NewOneTimeToken {
  /** `verify-email`, `password-reset`, …: the token is valid for nothing else. */
  readonly purpose: string;
  readonly subject: Subject;
  readonly ttlSeconds: number;
  /** Returned on redemption, such as the e-mail it was sent to. */
  readonly detail?: Readonly<Record<string, string>>;
  /** Keep older tokens valid: for one person on two devices at once. Default false. */
  readonly several?: boolean;
}

export interface OneTimeToken {
  readonly subject: Subject;
  readonly detail: Readonly<Record<string, string>>;
}

type Control = Kysely<ControlTables>;

/** The last argument is the transaction to use; without it, each call is a statement of its own. */
export interface OneTimeTokens {
  /** @returns the token, which is stored only as a hash */
  issue(token: NewOneTimeToken, tx?: Control): Promise<string>;
  /** Returns the token without using it up. */
  find(purpose: string, token: string, tx?: Control): Promise<OneTimeToken | undefined>;
  /** Uses it up. Undefined if it is unknown, used, expired, replaced, or for another purpose. */
  redeem(purpose: string, token: string, tx?: Control): Promise<OneTimeToken | undefined>;
  revoke(purpose: string, subject: Subject, tx?: Control): Promise<void>;
  /** Deletes expired tokens. */
  sweep(): Promise<void>;
}

/**
 * @example
 * const token = await tokens.issue({ purpose: "verify-email", subject, ttlSeconds: 86_400 });
 * await tokens.redeem("verify-email", token); // { subject, detail: {} }
 * await tokens.redeem("verify-email", token); // undefined
 */
export function createOneTimeTokens(control: Control): OneTimeTokens {
  return {
    async issue({ purpose, subject, ttlSeconds, detail = {}, several = false }, tx = control) {
      const token = randomBytes(32).toString("base64url");
      await tx
        .insertInto("control.one_time_tokens")
        .values({
          purpose,
          tenant_id: subject.tenantId,
          subject_id: subject.id,
          hash: hashOf(token),
          detail: JSON.stringify(detail),
          single: !several,
          expires_at: sql<Date>`now() + make_interval(secs => ${ttlSeconds}::double precision)`,
        })
        .onConflict((conflict) =>
          conflict
            .columns(["purpose", "tenant_id", "subject_id"])
            .where("single", "=", sql.lit(true))
            .doUpdateSet((eb) => ({
              hash: eb.ref("excluded.hash"),
              detail: eb.ref("excluded.detail"),
              expires_at: eb.ref("excluded.expires_at"),
            })),
        )
        .execute();
      return token;
    },
    async find(purpose, token, tx = control) {
      const row = await tx
        .selectFrom("control.one_time_tokens")
        .select(["tenant_id", "subject_id", "detail"])
        .where("hash", "=", hashOf(token))
        .where("purpose", "=", purpose)
        .where("expires_at", ">", sql<Date>`now()`)
        .executeTakeFirst();
      return row && { subject: subjectOf(row), detail: row.detail };
    },
    async redeem(purpose, token, tx = control) {
      const row = await tx
        .deleteFrom("control.one_time_tokens")
        .where("hash", "=", hashOf(token))
        .where("purpose", "=", purpose)
        .where("expires_at", ">", sql<Date>`now()`)
        .returning(["tenant_id", "subject_id", "detail"])
        .executeTakeFirst();
      return row && { subject: subjectOf(row), detail: row.detail };
    },
    async revoke(purpose, { tenantId, id }, tx = control) {
      await tx
        .deleteFrom("control.one_time_tokens")
        .where("purpose", "=", purpose)
        .where("tenant_id", "is not distinct from", tenantId)
        .where("subject_id", "=", id)
        .execute();
    },
    sweep: () => deleteInBatches(control, "control.one_time_tokens", sql`expires_at < now()`),
  };
}

const hashOf = (token: string): Buffer => createHash("sha256").update(token).digest();
