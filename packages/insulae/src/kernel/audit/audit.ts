/**
 * The audit log: who did what to what, from where, and with which outcome. Each tenant has one
 * among its own rows, and the platform has another. Both are hash chains computed by the database
 * (see `migrations/app/0004_audit.sql`, `platform-chain.ts` and docs/audit.md).
 *
 * Nothing is acknowledged without its entry: if the entry can't be written, the operation fails.
 * Only a refusal stays a refusal.
 */
import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import type { TenantDatabase } from "../data/tenant-database.ts";
import { beginning } from "../lib/text.ts";
import type { Tenant } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import { keptText, redact } from "../telemetry/redact.ts";

/** `<noun>.<past participle>`: `user.deleted`, `auth.login_failed`. */
export type AuditAction = `${string}.${string}`;

/** `failed`: attempted without success; `refused`: not allowed. */
export const auditOutcomes = ["succeeded", "failed", "refused"] as const;
export type AuditOutcome = (typeof auditOutcomes)[number];

export interface AuditActor {
  /** `system`: the CLI, a job, the server itself. */
  readonly kind: "user" | "account" | "api_key" | "certificate" | "system" | "anonymous";
  readonly id?: string | undefined;
  /** The e-mail or name at that time. */
  readonly name?: string | undefined;
}

/** The event. The request supplies the rest. */
export interface AuditEvent {
  readonly action: AuditAction;
  /** Default `succeeded`. */
  readonly outcome?: AuditOutcome | undefined;
  readonly target?: { readonly type: string; readonly id: string } | undefined;
  /** Without secrets; what looks like one is removed. Cut to 4 KiB of JSON. */
  readonly detail?: Readonly<Record<string, unknown>> | undefined;
  /** Default: the caller. For people who are not signed in yet, or no longer. */
  readonly actor?: AuditActor | undefined;
}

/**
 * Writes an entry to the log of the request's tenant, or of the platform if it has none.
 *
 * @param tx the transaction that it belongs to, in the same database. Entries of one tenant's log
 * serialise transactions until they end, so write them last
 * @throws the error that prevented the entry, unless its outcome is `failed` or `refused` and there
 * is no `tx`; then the error is logged
 * @example
 * await audit({ action: "user.deleted", target: { type: "user", id } }, tx);
 */
export type Audit = (event: AuditEvent, tx?: QueryExecutorProvider) => Promise<void>;

/** Outside tenants' handlers, an event may name the log that it belongs to. */
export interface TenantAuditEvent extends AuditEvent {
  /** Default: the request's, if it has one; `null` is the platform's log. */
  readonly tenant?: Tenant | null | undefined;
}

export type TenantAudit = (event: TenantAuditEvent, tx?: QueryExecutorProvider) => Promise<void>;

/** An entry written without a request, or with its own values instead of the request's. */
export interface AuditEntry extends AuditEvent {
  /** The tenant whose log it goes to; undefined: the platform's. */
  readonly tenant?: Tenant | undefined;
  /** The id of the account that is impersonating the actor. */
  readonly impersonator?: string | undefined;
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
  readonly requestId?: string | undefined;
}

/** The same outside a request: the actor is `system` unless given. */
export type WriteAudit = (entry: AuditEntry, tx?: QueryExecutorProvider) => Promise<void>;

export interface AuditLog {
  readonly write: WriteAudit;
  /** Resolves when no entry is being written. */
  readonly settled: () => Promise<void>;
}

export interface AuditOptions {
  readonly control: Kysely<ControlTables>;
  readonly databaseOf: (tenant: Tenant) => TenantDatabase<Record<never, never>>;
  readonly log: Logger;
}

/**
 * @param grown called with each log that got an entry: a tenant's, or the platform's (undefined)
 */
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
        "Could not write an audit entry",
      );
    }
  };

  return {
    write(entry, tx) {
      const written = append(entry, tx);
      const known = written.then(
        () => {},
        () => {}, // callers of `written` get the error
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
/** The length to which long texts are cut, in UTF-16 code units. */
const cutText = 200;

/**
 * The detail as JSON. If it is too long, its largest members are cut (texts) or removed (others),
 * and `truncated: true` is added.
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
