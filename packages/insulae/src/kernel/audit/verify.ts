/**
 * Walks an audit log's chain and finds where it was tampered with. The hashes are computed here, from
 * the rows' texts: a verifier that asked the database's own function would believe whoever changed it.
 *
 * A chain shows what was changed, taken out, put in or moved. It can't show that its end is missing, nor
 * that all of it was written anew: for that there are anchors, a tenant's heads in the platform's log.
 */
import { createHash } from "node:crypto";
import { type QueryExecutorProvider, sql } from "kysely";
import { chainPlatformLog } from "./platform-chain.ts";

/** The last entry of a chain. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
}

export interface Problem {
  /** The number of the first entry that is wrong. */
  readonly seq: number;
  readonly problem: string;
}

export interface Verdict {
  readonly head: Head | undefined;
  readonly problem: Problem | undefined;
}

export interface Chain {
  /** What its hashes begin with: the tenant's id, or `platform`. */
  readonly name: string;
  readonly table: "audit_log" | "control.audit_log";
  readonly db: QueryExecutorProvider;
  /** What was noted of its heads elsewhere, from a number (exclusive) to another, in their order. */
  readonly anchors?: (after: number, to: number) => Promise<readonly Head[]>;
}

/** All that is hashed, as text, in the order in which it is. */
const hashed = [
  sql`seq::text`,
  sql`id::text`,
  sql`to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
  ...["action", "outcome", "actor_kind", "actor_id", "actor_name", "impersonator"].map(sql.ref),
  ...["target_type", "target_id", "ip", "user_agent", "request_id"].map(sql.ref),
  sql`detail::text`,
  sql`previous_hash`,
];

const entriesAtOnce = 1_000;

/**
 * What is committed to the platform's log and not chained yet is chained first.
 *
 * @returns how far the chain is whole; in pages, so that a long one needs no more memory.
 */
export async function verifyChain(chain: Chain): Promise<Verdict> {
  if (chain.table === "control.audit_log") await chainPlatformLog(chain.db);
  let head: Head | undefined;
  const verdict = (problem?: Problem): Verdict => ({ head, problem });
  let missing: Head | undefined;
  // From the lowest number that there can be: no entry hides below 1.
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const rows = await nextEntries(chain, after);
    if (rows.length === 0) {
      const known = missing;
      [missing] = (await chain.anchors?.(head?.seq ?? 0, Number.MAX_SAFE_INTEGER)) ?? [];
      if (!missing) return verdict();
      // What was added and anchored while we walked is there when we look again.
      if (!known) continue;
      const problem = `is missing: the platform's log names entry ${missing.seq}`;
      return verdict({ seq: (head?.seq ?? 0) + 1, problem });
    }
    missing = undefined;
    const first = head?.seq ?? 0;
    const start = head;
    for (const row of rows) {
      const problem = problemOf(chain.name, row, head);
      if (problem) return verdict(problem);
      head = { seq: Number(row.fields[0]), hash: row.hash };
      after = head.seq;
    }
    const anchored = await chain.anchors?.(first, after);
    const wrong = anchored?.find(({ seq, hash }) => hash !== rows[seq - first - 1]?.hash);
    if (wrong) {
      head = start;
      return verdict({ seq: wrong.seq, problem: "is not the entry that the platform's log names" });
    }
  }
}

interface Row {
  readonly fields: readonly (string | null)[];
  readonly hash: string;
}

async function nextEntries({ table, db }: Chain, after: number): Promise<readonly Row[]> {
  const { rows } = await sql<Row>`
    select array[${sql.join(hashed)}] as fields, hash
    from ${sql.table(table)}
    where seq > ${after}
    order by seq
    limit ${entriesAtOnce}`.execute(db);
  return rows;
}

function problemOf(chain: string, { fields, hash }: Row, head: Head | undefined) {
  const seq = Number(fields[0]);
  const expected = (head?.seq ?? 0) + 1;
  if (seq !== expected) return { seq: expected, problem: "is missing" };
  if (fields.at(-1) !== (head?.hash ?? null)) {
    return { seq, problem: "does not follow the entry before it" };
  }
  if (hashOf([chain, ...fields]) !== hash) return { seq, problem: "was changed" };
  return undefined;
}

/** As `app.audit_hash()` does it. */
const hashOf = (fields: readonly (string | null)[]): string =>
  createHash("sha256")
    .update(
      fields
        .map((field) => (field === null ? "-" : `${Buffer.byteLength(field)}:${field},`))
        .join(""),
    )
    .digest("hex");
