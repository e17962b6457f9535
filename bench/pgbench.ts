/**
 * The upper limit: Insulae's SQL as prepared statements, without HTTP, TypeScript or JSON parsing.
 * Plain: BEGIN, the setting, the statement and COMMIT, one round trip each. Pipelined: setting and
 * statement in one batch with one Sync, which is one implicit transaction, as in Insulae.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { contactsPerTenant, sqlContactId, sqlTenantId, tenantCount } from "./dataset.ts";
import type { LoadResult, Operation } from "./load.ts";
import { runProgram } from "./program.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export interface PgbenchRun {
  /** The data plane's role, which is subject to Row-Level Security. */
  readonly url: string;
  readonly operation: Operation;
  readonly pipelined: boolean;
  readonly seconds: number;
  readonly connections: number;
}

const columns = "id, name, email, phone, company, notes, created_at, updated_at";

const statements: Readonly<Record<Operation, string>> = {
  list: `select string_agg(row_to_json(t)::text, E',\\n'), count(*)::int from (select ${columns} from data.contacts order by id desc limit 26) t;`,
  one: `select row_to_json(t)::text from (select ${columns} from data.contacts where id = ${sqlContactId}) t limit 1;`,
  insert: `with t as (insert into data.contacts (name, email, phone, company, notes) values ('Ada Lovelace', 'ada@example.com', '+44 20 7946 0000', 'Analytical Engines', 'Written by the benchmark') returning ${columns}) select row_to_json(t)::text from t limit 1;`,
};

/** @throws Error with pgbench's message */
export async function runPgbench(run: PgbenchRun): Promise<LoadResult> {
  const url = new URL(run.url);
  const folder = temporaryFolder();
  const script = join(folder.path, "script.sql");
  writeFileSync(script, scriptOf(run));
  try {
    const { stdout, stderr } = await runProgram(
      "pgbench",
      [
        ...["-h", url.hostname, "-p", url.port, "-U", url.username, "-n", "-M", "prepared"],
        ...["-c", String(run.connections), "-j", "2", "-T", String(run.seconds), "-f", script],
        url.pathname.slice(1),
      ],
      { PATH: process.env.PATH, PGPASSWORD: decodeURIComponent(url.password) },
    );
    return resultOf(stdout, stderr);
  } finally {
    folder.remove();
  }
}

function scriptOf({ operation, pipelined }: PgbenchRun): string {
  const [begin, end] = pipelined ? ["\\startpipeline", "\\endpipeline"] : ["begin;", "commit;"];
  return `\\set tenant random(1, ${tenantCount})
\\set contact :tenant * 1000 + random(1, ${contactsPerTenant})
${begin}
select set_config('app.current_tenant_id', ${sqlTenantId}, true);
${statements[operation]}
${end}
`;
}

function resultOf(output: string, complaints: string): LoadResult {
  const number = (pattern: RegExp) => Number(pattern.exec(output)?.[1]);
  const requests = number(/^number of transactions actually processed: (\d+)/m);
  const perSecond = number(/^tps = ([\d.]+)/m);
  if (!(perSecond > 0)) throw new Error(`pgbench: ${complaints || output}`);
  return { requests, seconds: requests / perSecond, failed: 0 };
}
