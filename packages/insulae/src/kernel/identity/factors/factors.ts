/**
 * A person's factors besides (or instead of) a password: an authenticator app, passkeys, and
 * recovery codes for when these are lost. They belong to a subject: an account, or a user with a
 * password of their own; a user linked to an account uses the account's.
 *
 * Checking and marking a factor as used is one conditional statement, so of any number of
 * concurrent attempts with the same code or answer one succeeds.
 */
import { type Insertable, type Kysely, type SqlBool, sql } from "kysely";
import type { Secrets } from "../../lib/secrets.ts";
import type { ControlTables } from "../../schema/control-tables.ts";
import { type Subject, subjectOf } from "../subject.ts";
import { type Attempt, countAttempt, forgetAttempts, isOf } from "./attempts.ts";
import type { Passkey } from "./passkeys.ts";
import { hashRecoveryCode, newRecoveryCodes } from "./recovery-codes.ts";
import { type NewTotp, newTotp, stepOf, type TotpLabel } from "./totp.ts";

export type FactorKind = "totp" | "passkey";

/** A factor as shown to its owner. */
export interface Factor {
  readonly id: string;
  readonly kind: FactorKind;
  readonly name: string;
  readonly created_at: Date;
  readonly last_used_at: Date | null;
}

/** A registered passkey and its owner. */
export interface KnownPasskey extends Omit<Passkey, "backupEligible"> {
  readonly id: string;
  readonly rpId: string;
  readonly subject: Subject;
}

/** An app whose setup has begun. */
export interface BegunTotp extends NewTotp {
  /** The encrypted secret, to store until the app has proved that it has it. */
  readonly sealed: string;
}

export interface NewTotpFactor {
  readonly name: string;
  readonly sealed: string;
  /** The app's current code. */
  readonly code: string;
}

type Control = Kysely<ControlTables>;

export interface Factors {
  list(subject: Subject, tx?: Control): Promise<Factor[]>;
  recoveryCodesLeft(subject: Subject): Promise<number>;
  /** Counts an attempt at a code or password; check it only if allowed. */
  attempt(subject: Subject): Promise<Attempt>;
  /** After a correct answer: resets the count. */
  forgive(subject: Subject): Promise<void>;
  /** Whether it is the app's current code, used for the first time. */
  useCode(subject: Subject, code: string): Promise<boolean>;
  /** The same for a recovery code, which is consumed. */
  useRecoveryCode(subject: Subject, code: string): Promise<boolean>;
  findPasskey(credentialId: string): Promise<KnownPasskey | undefined>;
  listPasskeys(subject: Subject): Promise<KnownPasskey[]>;
  /**
   * Records a correct answer. False if the passkey is gone, its counter did not increase, or its
   * backup eligibility changed (WebAuthn level 3, section 7.2).
   */
  usePasskey(id: string, use: Pick<Passkey, "counter" | "backupEligible">): Promise<boolean>;
  beginTotp(label: TotpLabel): BegunTotp;
  /**
   * Replaces an existing app, and consumes the code.
   *
   * @returns undefined if it is not the app's current code
   */
  addTotp(subject: Subject, totp: NewTotpFactor, tx?: Control): Promise<Factor | undefined>;
  /** Undefined if it is registered already, for anybody. */
  addPasskey(
    subject: Subject,
    passkey: Passkey & { readonly name: string; readonly rpId: string },
    tx?: Control,
  ): Promise<Factor | undefined>;
  rename(subject: Subject, id: string, name: string): Promise<Factor | undefined>;
  /** Removing the last factor removes the recovery codes too. */
  remove(subject: Subject, id: string): Promise<Factor | undefined>;
  /** Removes all. @returns the number of factors removed */
  reset(subject: Subject): Promise<number>;
  /** Replaces the codes. The new ones are stored only as hashes. */
  renewRecoveryCodes(subject: Subject, tx?: Control): Promise<readonly string[]>;
}

/** @param clock milliseconds since 1970 */
export function createFactors(
  control: Control,
  secrets: Secrets,
  clock: () => number = () => Date.now(),
): Factors {
  const codeKey = secrets.derive("recovery-codes", 32);
  const purpose = "totp";

  const deleteRecoveryCodes = (subject: Subject, db: Control) =>
    db.deleteFrom("control.recovery_codes").where(isOf(subject)).execute();

  const insert = (
    subject: Subject,
    values: Omit<Insertable<ControlTables["control.factors"]>, "tenant_id" | "subject_id">,
    db: Control,
  ) =>
    db
      .insertInto("control.factors")
      .values({ tenant_id: subject.tenantId, subject_id: subject.id, ...values })
      .onConflict((conflict) => conflict.column("credential_id").doNothing())
      .returning(shown)
      .executeTakeFirst();

  return {
    list: (subject, tx = control) =>
      tx.selectFrom("control.factors").select(shown).where(isOf(subject)).orderBy("id").execute(),

    async recoveryCodesLeft(subject) {
      const { left } = await control
        .selectFrom("control.recovery_codes")
        .select(sql<number>`count(*)::integer`.as("left"))
        .where(isOf(subject))
        .executeTakeFirstOrThrow();
      return left;
    },

    attempt: (subject) => countAttempt(control, subject),

    async forgive(subject) {
      await forgetAttempts(control, subject);
    },

    async useCode(subject, code) {
      const totp = await control
        .selectFrom("control.factors")
        .select(["id", "sealed_secret"])
        .where(isOf(subject))
        .where("kind", "=", "totp")
        .executeTakeFirst();
      const step =
        totp?.sealed_secret && stepOf(secrets.open(purpose, totp.sealed_secret), code, clock());
      if (!totp || !step) return false;
      const { numUpdatedRows } = await control
        .updateTable("control.factors")
        .set({ last_step: step, last_used_at: now })
        .where("id", "=", totp.id)
        .where(sql<SqlBool>`last_step < ${step}`)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    async useRecoveryCode(subject, code) {
      const { numDeletedRows } = await control
        .deleteFrom("control.recovery_codes")
        .where("hash", "=", hashRecoveryCode(codeKey, subject, code))
        .executeTakeFirst();
      return numDeletedRows > 0n;
    },

    async findPasskey(credentialId) {
      const row = await selectPasskeys(control)
        .where("credential_id", "=", credentialId)
        .executeTakeFirst();
      return row && passkeyOf(row);
    },

    async listPasskeys(subject) {
      const rows = await selectPasskeys(control).where(isOf(subject)).orderBy("id").execute();
      return rows.map(passkeyOf);
    },

    async usePasskey(id, { counter, backupEligible }) {
      const { numUpdatedRows } = await control
        .updateTable("control.factors")
        .set({ counter, backup_eligible: backupEligible, last_used_at: now })
        .where("id", "=", id)
        .where(sql<SqlBool>`coalesce(backup_eligible, ${backupEligible}) = ${backupEligible}`)
        // Many authenticators have no counter and always report 0.
        .where(sql<SqlBool>`counter < ${counter} or (counter = 0 and ${counter} = 0)`)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    beginTotp(label) {
      const totp = newTotp(label);
      return { ...totp, sealed: secrets.seal(purpose, totp.secret) };
    },

    async addTotp(subject, { name, sealed, code }, tx = control) {
      const step = stepOf(secrets.open(purpose, sealed), code, clock());
      if (step === undefined) return undefined;
      await tx
        .deleteFrom("control.factors")
        .where(isOf(subject))
        .where("kind", "=", "totp")
        .execute();
      const values = { kind: "totp", name, sealed_secret: sealed, last_step: step } as const;
      return insert(subject, values, tx);
    },

    addPasskey: (subject, { name, rpId, ...passkey }, tx = control) =>
      insert(
        subject,
        {
          kind: "passkey",
          name,
          rp_id: rpId,
          credential_id: passkey.credentialId,
          public_key: Buffer.from(passkey.publicKey),
          counter: passkey.counter,
          transports: [...passkey.transports],
          backup_eligible: passkey.backupEligible,
        },
        tx,
      ),

    rename: (subject, id, name) =>
      control
        .updateTable("control.factors")
        .set({ name })
        .where("id", "=", id)
        .where(isOf(subject))
        .returning(shown)
        .executeTakeFirst(),

    remove: (subject, id) =>
      control.transaction().execute(async (tx) => {
        const removed = await tx
          .deleteFrom("control.factors")
          .where("id", "=", id)
          .where(isOf(subject))
          .returning(shown)
          .executeTakeFirst();
        const left = await tx
          .selectFrom("control.factors")
          .select("id")
          .where(isOf(subject))
          .executeTakeFirst();
        if (!left) await deleteRecoveryCodes(subject, tx);
        return removed;
      }),

    reset: (subject) =>
      control.transaction().execute(async (tx) => {
        const { numDeletedRows } = await tx
          .deleteFrom("control.factors")
          .where(isOf(subject))
          .executeTakeFirst();
        await deleteRecoveryCodes(subject, tx);
        await forgetAttempts(tx, subject);
        return Number(numDeletedRows);
      }),

    async renewRecoveryCodes(subject, tx = control) {
      const codes = newRecoveryCodes();
      const rows = codes.map((code) => ({
        hash: hashRecoveryCode(codeKey, subject, code),
        tenant_id: subject.tenantId,
        subject_id: subject.id,
      }));
      await deleteRecoveryCodes(subject, tx);
      await tx.insertInto("control.recovery_codes").values(rows).execute();
      return codes;
    },
  };
}

const now = sql<Date>`clock_timestamp()`;

const shown = ["id", "kind", "name", "created_at", "last_used_at"] as const;

const selectPasskeys = (control: Control) =>
  control
    .selectFrom("control.factors")
    .select(["id", "tenant_id", "subject_id", "credential_id", "public_key", "counter"])
    .select(["transports", "rp_id"])
    .where("kind", "=", "passkey");

type PasskeyRow = Awaited<ReturnType<ReturnType<typeof selectPasskeys>["execute"]>>[number];

const passkeyOf = (row: PasskeyRow): KnownPasskey => ({
  id: row.id,
  // a constraint ensures these for passkeys
  credentialId: row.credential_id ?? "",
  publicKey: Uint8Array.from(row.public_key ?? []),
  counter: Number(row.counter),
  transports: row.transports ?? [],
  rpId: row.rp_id ?? "",
  subject: subjectOf(row),
});
