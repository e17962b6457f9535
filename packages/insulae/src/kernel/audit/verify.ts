/**
 * Verifies an audit log's chain and finds where it was tampered with. Hashes are recomputed here
 * from the rows: the database's own function could have been tampered with too.
 *
 * A chain reveals changed, removed, inserted and moved entries, but not a missing end or a complete
 * rewrite. For those there are anchors: a tenant's heads, recorded in the platform's log.
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
  /** The number of the first wrong entry. */
  readonly seq: number;
  readonly problem: string;
}

export interface Verdict {
  readonly head: Head | undefined;
  readonly problem: Problem | undefined;
}

export interface Chain {
  /** The first input of its hashes: the tenant's id, or `platform`. */
  readonly name: string;
  readonly table: "audit_log" | "control.audit_log";
  readonly db: QueryExecutorProvider;
  /** Heads recorded elsewhere with numbers in the range (`after` exclusive), in order. */
  readonly anchors?: (after: number, to: number) => Promise<readonly Head[]>;
}

/** The hashed columns as text, in order. */
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
 * Entries committed to the platform's log but not chained yet are chained first. Reads in pages, so
 * memory use does not depend on the length.
 *
 * @returns how far the chain is intact
 */
export async function verifyChain(chain: Chain): Promise<Verdict> {
  if (chain.table === "control.audit_log") await chainPlatformLog(chain.db);
  let head: Head | undefined;
  const verdict = (problem?: Problem): Verdict => ({ head, problem });
  let missing: Head | undefined;
  // The lowest possible number, so that no entry can hide below 1.
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const rows = await nextEntries(chain, after);
    if (rows.length === 0) {
      const known = missing;
      [missing] = (await chain.anchors?.(head?.seq ?? 0, Number.MAX_SAFE_INTEGER)) ?? [];
      if (!missing) return verdict();
      // Entries added and anchored during the walk are found by the next look.
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

/** The same as `app.audit_hash()`. */
const hashOf = (fields: readonly (string | null)[]): string =>
  createHash("sha256")
    .update(
      fields
        .map((field) => (field === null ? "-" : `${Buffer.byteLength(field)}:${field},`))
        .join(""),
    )
    .digest("hex");
