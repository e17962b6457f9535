/**
 * The control plane's part of the register of data places (`data-places.ts`): every table of the
 * schema `control`, and how erasing a tenant treats it. `data-places.test.ts` fails
 * if a table is missing here. The row in `control.tenants` stays after an erasure, so nothing may
 * rely on `on delete cascade` from it.
 */

export type ControlTable =
  /** Rows with the tenant's id in `tenant_id` are deleted. */
  | { readonly erased: "by tenant_id"; readonly holds: string }
  /** Rows are deleted together with another table's or place's. */
  | { readonly erased: "with"; readonly place: string; readonly holds: string }
  /** The rows stay, for this reason. */
  | { readonly kept: string };

const byTenant = (holds: string): ControlTable => ({ erased: "by tenant_id", holds });
const withPlace = (place: string, holds: string): ControlTable => ({
  erased: "with",
  place,
  holds,
});
const kept = (reason: string): ControlTable => ({ kept: reason });

const nothing = (what: string) => kept(`has nothing of a tenant's: ${what}`);

export const controlTables: Readonly<Record<string, ControlTable>> = {
  "control.sessions": byTenant("sign-in sessions: addresses, browsers"),
  "control.memberships": byTenant("which accounts are users of the tenant"),
  "control.hosts": byTenant("host names and their settings"),
  "control.host_claims": byTenant("host names that the tenant has not proved yet"),
  "control.client_certificates": byTenant("certificates of the tenant's clients"),
  "control.email_domains": byTenant("e-mail domains whose people may join"),
  "control.mails": byTenant("mails, with their recipients"),
  "control.captured_messages": byTenant("messages that are captured in development"),
  "control.handed_over_mails": byTenant("Amazon's ids of mails that it took"),
  "control.one_time_tokens": byTenant("tokens of invitations, password resets, verifications"),
  "control.impersonations": byTenant("when administrators of the platform acted as a user"),
  "control.factors": byTenant("second factors and passkeys"),
  "control.recovery_codes": byTenant("hashes of recovery codes"),
  "control.factor_attempts": byTenant("failed attempts at a second factor"),
  "control.outbox_marks": byTenant("which nodes may have left jobs in the tenant's outbox"),
  "control.moves": byTenant("where the tenant was moved from and to"),
  "control.usage_daily": byTenant("what the tenant used, day by day"),
  "control.usage_measured": byTenant("when the tenant was measured last"),

  "control.host_certificates": withPlace("control.hosts", "certificates and sealed keys of hosts"),
  "control.placements": withPlace("placement", "the name of the tenant's database or schema"),
  "control.jobs": withPlace("jobs", "jobs that wait, run, have failed or are done"),

  "control.tenants": kept(
    "the tombstone: id, key, number, name, plan and dates, so that what refers to the id still finds a " +
      "name; settings, owner and placement are cleared",
  ),
  "control.audit_log": kept(
    "the platform has to account for what it did, and the chain breaks if an entry is taken out",
  ),
  "control.accounts": kept("an account is a person's own, and may be a user of other tenants"),
  "control.servers": nothing("the PostgreSQL servers"),
  "control.signing_keys": nothing("the keys of access tokens"),
  "control.usage_flushes": nothing("how far each node has written its counts"),
};

/** The tables whose rows have the tenant's id in `tenant_id`. */
export const tablesByTenant: readonly string[] = Object.entries(controlTables).flatMap(
  ([name, table]) => ("erased" in table && table.erased === "by tenant_id" ? [name] : []),
);
