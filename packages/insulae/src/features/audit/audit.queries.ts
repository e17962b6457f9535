import { type Kysely, sql } from "kysely";
import type { AuditOutcome } from "../../kernel/audit/audit.ts";
import { chainPlatformLog } from "../../kernel/audit/platform-chain.ts";
import { type Given, given, type Params, statement } from "../../kernel/data/statement.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";

/** A tenant's log; the platform's is of the same form, under another name. */
export interface AuditTables {
  audit_log: ControlTables["control.audit_log"];
}

type Db = Kysely<AuditTables>;

/** What entries are chosen by. */
export interface AuditFilter {
  readonly action?: string | undefined;
  readonly outcome?: AuditOutcome | undefined;
  /** The id of whoever did it. */
  readonly actor?: string | undefined;
  /** The id of what it was done to. */
  readonly target?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

const columns = [
  // A bigint: a number in JSON, which is all that these columns are read as.
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

/** The statements on one of the two tables. */
function auditQueries(table: "audit_log" | "control.audit_log") {
  const matching = (db: Db, p: Params<AuditFilter>) => {
    // Both tables have the same columns.
    let entries = db
      .selectFrom(table as "audit_log")
      .select(columns)
      // Those of the platform's that wait for their place in the chain.
      .where("seq", "is not", null);
    if (given(p.action)) entries = entries.where("action", "=", p.action);
    if (given(p.outcome)) entries = entries.where("outcome", "=", p.outcome);
    if (given(p.actor)) entries = entries.where("actor_id", "=", p.actor);
    if (given(p.target)) entries = entries.where("target_id", "=", p.target);
    if (given(p.from)) entries = entries.where("at", ">=", sql<Date>`${p.from}::timestamptz`);
    if (given(p.to)) entries = entries.where("at", "<", sql<Date>`${p.to}::timestamptz`);
    return entries;
  };

  const newest = statement(
    (db: Db, p: Params<AuditFilter & { limit: number; before?: string | undefined }>) => {
      const page = matching(db, p).orderBy("seq", "desc").limit(p.limit);
      return given(p.before) ? page.where("seq", "<", p.before) : page;
    },
  );

  const oldest = statement((db: Db, p: Params<AuditFilter & { after: string; limit: number }>) =>
    matching(db, p).where("seq", ">", p.after).orderBy("seq").limit(p.limit),
  );

  /**
   * All entries as lines of JSON, oldest first, some hundred at a time: the next are fetched when
   * these have been taken, and no connection is held in between.
   *
   * @param respell gets entries as a list.
   */
  async function* lines(
    db: Db,
    filter: Given<AuditFilter>,
    respell: (json: string) => string,
  ): AsyncGenerator<string> {
    for (let after = "0"; ; ) {
      const { items, last } = await oldest.part(db, { ...filter, after, limit: linesAtOnce });
      // No line break but those between the rows: a `jsonb` keeps none.
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

/** The control plane, for the statements on its log, whose entries all have their place in the chain. */
export async function platformLog(control: Kysely<ControlTables>): Promise<Db> {
  await chainPlatformLog(control);
  // The statements name no other table than control.audit_log, which it has.
  return control as unknown as Db;
}
