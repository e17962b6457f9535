import { type Kysely, type RawBuilder, sql } from "kysely";
import type { AuditOutcome } from "../../kernel/audit/audit.ts";
import { chainPlatformLog } from "../../kernel/audit/platform-chain.ts";
import { type Given, given, type Params, statement } from "../../kernel/data/statement.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";

/** A tenant's log. The platform's log has the same columns under another name. */
export interface AuditTables {
  audit_log: ControlTables["control.audit_log"];
}

type Db = Kysely<AuditTables>;

/** Filters for the list and the export. */
export interface AuditFilter {
  readonly action?: string | undefined;
  /** How the action begins. */
  readonly actionPrefix?: string | undefined;
  readonly outcome?: AuditOutcome | undefined;
  /** The id of the actor. */
  readonly actor?: string | undefined;
  /** The id of the object acted on. */
  readonly target?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

const columns = [
  // A bigint; typed as a number because these rows are only ever read as JSON.
  sql<number>`seq`.as("seq"),
  "id",
  "at",
  "action",
  "outcome",
  "actor_kind",
  "actor_id",
  "actor_name",
  "impersonator",
  "target_type",
  "target_id",
  "ip",
  "user_agent",
  "request_id",
  "detail",
  "previous_hash",
  "hash",
] as const;

const hashedFields = [
  sql`seq::text`,
  sql`id::text`,
  sql`to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
  ...["action", "outcome", "actor_kind", "actor_id", "actor_name", "impersonator"].map(sql.ref),
  ...["target_type", "target_id", "ip", "user_agent", "request_id"].map(sql.ref),
  sql`detail::text`,
  sql`previous_hash`,
];

/** The text that an entry's hash is of, as `app.audit_hash` makes it. */
const hashedText = (chain: RawBuilder<unknown>) => {
  const parts = [chain, ...hashedFields].map(
    (field) => sql`coalesce(octet_length(${field}) || ':' || ${field} || ',', '-')`,
  );
  return sql<string>`${sql.join(parts, sql` || `)}`.as("hashed");
};

/** The statements for one of the two logs. */
function auditQueries(table: "audit_log" | "control.audit_log") {
  const chain = table === "audit_log" ? sql`tenant_id::text` : sql`'platform'`;
  const matching = (db: Db, p: Params<AuditFilter>) => {
    // Both tables have the same columns.
    let entries = db
      .selectFrom(table as "audit_log")
      .select(columns)
      // Skip platform entries that have not been chained yet.
      .where("seq", "is not", null);
    if (given(p.action)) entries = entries.where("action", "=", p.action);
    if (given(p.actionPrefix)) {
      entries = entries.where(sql<boolean>`starts_with(action, ${p.actionPrefix})`);
    }
    if (given(p.outcome)) entries = entries.where("outcome", "=", p.outcome);
    if (given(p.actor)) entries = entries.where("actor_id", "=", p.actor);
    if (given(p.target)) entries = entries.where("target_id", "=", p.target);
    if (given(p.from)) entries = entries.where("at", ">=", sql<Date>`${p.from}::timestamptz`);
    if (given(p.to)) entries = entries.where("at", "<", sql<Date>`${p.to}::timestamptz`);
    return entries;
  };

  const newest = statement(
    (
      db: Db,
      p: Params<AuditFilter & { hashed?: boolean; limit: number; before?: string | undefined }>,
    ) => {
      const entries = matching(db, p).orderBy("seq", "desc").limit(p.limit);
      const page = given(p.before) ? entries.where("seq", "<", p.before) : entries;
      return given(p.hashed) ? page.select(hashedText(chain)) : page.select([]);
    },
  );

  const oldest = statement((db: Db, p: Params<AuditFilter & { after: string; limit: number }>) =>
    matching(db, p).where("seq", ">", p.after).orderBy("seq").limit(p.limit),
  );

  /**
   * Streams all matching entries as JSON lines, oldest first. Fetches the next batch only once the
   * reader has taken the last, and holds no connection in between.
   *
   * @param respell rewrites each batch, given as a JSON array
   */
  async function* lines(
    db: Db,
    filter: Given<AuditFilter>,
    respell: (json: string) => string,
  ): AsyncGenerator<string> {
    for (let after = "0"; ; ) {
      const { items, last } = await oldest.part(db, { ...filter, after, limit: linesAtOnce });
      // The only line breaks are those between rows: `jsonb` output contains none.
      if (items !== "") yield `${respell(`[${items}]`).slice(1, -1).replaceAll(",\n", "\n")}\n`;
      if (last === undefined) return;
      after = String((JSON.parse(last) as { readonly seq: number }).seq); // a row of the statement
    }
  }

  return { newest, lines };
}

const linesAtOnce = 500;

export const tenantAudit = auditQueries("audit_log");
export const platformAudit = auditQueries("control.audit_log");

/** Chains the pending entries of the platform's log, then returns a database to query it. */
export async function platformLog(control: Kysely<ControlTables>): Promise<Db> {
  await chainPlatformLog(control);
  // Safe: the statements name no table except control.audit_log, which the control plane has.
  return control as unknown as Db;
}
