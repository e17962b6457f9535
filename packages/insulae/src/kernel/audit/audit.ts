/**
 * The audit log: who did what to what, from where, and how it ended. Each tenant has one, among its
 * own rows, and the platform another; both are chains of hashes that the database makes (see
 * `migrations/app/0004_audit.sql`, `platform-chain.ts` and docs/audit.md).
 *
 * Nothing is acknowledged that is not in the log: an entry that can't be written fails what it is
 * about. Only a refusal stays the refusal that it is.
 */
import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import type { TenantDatabase } from "../data/tenant-database.ts";
import { beginning } from "../lib/text.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import { keptText, redact } from "../telemetry/redact.ts";
import type { Tenant } from "../tenancy/tenant.ts";

/** `<noun>.<past participle>`: `user.deleted`, `auth.login_failed`. */
export type AuditAction = `${string}.${string}`;

/** `failed`: it was tried and did not work; `refused`: it was not allowed. */
export const auditOutcomes = ["succeeded", "failed", "refused"] as const;
export type AuditOutcome = (typeof auditOutcomes)[number];

export interface AuditActor {
  /** `system`: the CLI, a job, the server itself. */
  readonly kind: "user" | "account" | "api_key" | "certificate" | "system" | "anonymous";
  readonly id?: string | undefined;
  /** E-mail or name, as it is now. */
  readonly name?: string | undefined;
}

/** What happened; the rest is known from the request. */
export interface AuditEvent {
  readonly action: AuditAction;
  /** Default `succeeded`. */
  readonly outcome?: AuditOutcome | undefined;
  readonly target?: { readonly type: string; readonly id: string } | undefined;
  /** Never secrets; what looks like one is left out. Of more than 4 KiB as JSON the rest is cut off. */
  readonly detail?: Readonly<Record<string, unknown>> | undefined;
  /** Default: who makes the request. For those who are not signed in yet, or no more. */
  readonly actor?: AuditActor | undefined;
}

/**
 * Writes an entry to the log of the request's tenant, or to the platform's where there is none.
 *
 * @param tx the transaction that it belongs to, of the same database. Entries of a tenant's log wait for each
 *   other until the end of their transactions, so make it the last thing that the transaction does.
 * @throws whatever kept the entry from being written, unless its outcome is `failed` or `refused`
 *   and there is no `tx`: that is logged.
 * @example
 * await audit({ action: "user.deleted", target: { type: "user", id } }, tx);
 */
export type Audit = (event: AuditEvent, tx?: QueryExecutorProvider) => Promise<void>;

/** An event of a request without a tenant's handler may say whose log it belongs to. */
export interface TenantAuditEvent extends AuditEvent {
  /** Default: the request's, if it has one; `null` is the platform's log. */
  readonly tenant?: Tenant | null | undefined;
}

export type TenantAudit = (event: TenantAuditEvent, tx?: QueryExecutorProvider) => Promise<void>;

/** An entry that no request makes, or that says itself what the request would. */
export interface AuditEntry extends AuditEvent {
  /** Whose log; without one, the platform's. */
  readonly tenant?: Tenant | undefined;
  /** The id of the account that acts as the actor. */
  readonly impersonator?: string | undefined;
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
  readonly requestId?: string | undefined;
}

/** The same outside a request: the actor is `system`, unless the entry says otherwise. */
export type WriteAudit = (entry: AuditEntry, tx?: QueryExecutorProvider) => Promise<void>;

export interface AuditLog {
  readonly write: WriteAudit;
  /** Resolves when nothing is being written any more. */
  readonly settled: () => Promise<void>;
}

export interface AuditOptions {
  readonly control: Kysely<ControlTables>;
  readonly databaseOf: (tenant: Tenant) => TenantDatabase<Record<never, never>>;
  readonly log: Logger;
}

/** @param grown is told of each log that has got an entry: a tenant's, or the platform's (undefined). */
export function createAudit(
  { control, databaseOf, log }: AuditOptions,
  grown: (tenant: Tenant | undefined) => void,
): AuditLog {
  const pending = new Set<Promise<void>>();

  const append = async (entry: AuditEntry, tx: QueryExecutorProvider | undefined) => {
    const { tenant, outcome = "succeeded" } = entry;
    try {
      if (tenant) await insertEntry("audit_log", entry, tx ?? databaseOf(tenant));
      else await insertEntry("control.audit_log", entry, tx ?? control);
      grown(tenant);
    } catch (error) {
      if (tx !== undefined || outcome === "succeeded") throw error;
      log.error(
        { err: error, tenant_id: tenant?.id, action: entry.action, outcome },
        "An audit entry could not be written",
      );
    }
  };

  return {
    write(entry, tx) {
      const written = append(entry, tx);
      const known = written.then(
        () => {},
        () => {}, // whoever waits for `written` hears of it
      );
      pending.add(known);
      void known.then(() => pending.delete(known));
      return written;
    },
    async settled() {
      while (pending.size > 0) await Promise.all(pending);
    },
  };
}

const maxText = 500;
const maxDetailBytes = 4_096;
/** Of a text that is cut, in UTF-16 code units. */
const cutText = 200;

/**
 * The detail as JSON. What is too long for an entry loses its largest members: texts but for their
 * beginning, others as a whole. `truncated: true` says so.
 */
function keptDetail(detail: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(redact(detail));
  if (Buffer.byteLength(text) <= maxDetailBytes) return text;
  const members = Object.entries(JSON.parse(text) as Record<string, unknown>)
    .map(([name, value]) => shortened(name, value))
    .toSorted((one, other) => one.bytes - other.bytes);
  const kept: Record<string, unknown> = { truncated: true };
  let left = maxDetailBytes - 100;
  for (const { name, value, bytes } of members) {
    left -= bytes;
    if (left < 0) break;
    kept[name] = value;
  }
  return JSON.stringify(kept);
}

function shortened(name: string, value: unknown) {
  const isLong = typeof value === "string" && value.length > cutText;
  const kept = isLong ? `${beginning(value, cutText)}…` : value;
  return { name, value: kept, bytes: Buffer.byteLength(JSON.stringify({ [name]: kept })) };
}

async function insertEntry(
  table: "audit_log" | "control.audit_log",
  { actor = { kind: "system" }, ...entry }: AuditEntry,
  db: QueryExecutorProvider,
): Promise<void> {
  const text = (value: string | undefined) =>
    value === undefined ? null : keptText(value, maxText);
  await sql`
    insert into ${sql.table(table)} (
      action, outcome, actor_kind, actor_id, actor_name, impersonator, target_type, target_id, ip,
      user_agent, request_id, detail
    ) values (
      ${entry.action}, ${entry.outcome ?? "succeeded"}, ${actor.kind}, ${text(actor.id)},
      ${text(actor.name)}, ${entry.impersonator ?? null}, ${entry.target?.type ?? null}, ${text(entry.target?.id)},
      ${entry.ip ?? null}, ${text(entry.userAgent)}, ${entry.requestId ?? null},
      ${keptDetail(entry.detail ?? {})}::jsonb
    )`.execute(db);
}
