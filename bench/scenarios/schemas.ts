import type pg from "pg";
import { milliseconds } from "../format.ts";
import type { Bench, Section } from "../scenario.ts";
import { median } from "../statistics.ts";

/** The number of measurements per median, because single ones vary. */
const together = 7;
const targetRatio = 2;
const targetSeconds = 10;

interface Catalogue {
  readonly bytes: number;
  readonly rows: number;
}

/**
 * Whether the hundredth tenant with its own schema is created as fast as the tenth, and the
 * duration of commands that inspect all schemas.
 */
export async function schemas(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const marks = bench.options.full ? [10, 100, 300, 1000] : [10, 100, 300];
  const count = Math.max(...marks);
  const before = await bench.database.connected(measureCatalogue);
  const commands = { doctor: ["doctor"], "migrate up": ["migrate", "up"] };
  const timeOf = async (args: readonly string[]) => {
    const began = performance.now();
    await insulae.command(args);
    return performance.now() - began;
  };
  const atFirst = new Map<string, number>();
  for (const [name, args] of Object.entries(commands)) atFirst.set(name, await timeOf(args));

  const times = await insulae.withApp(async (app) => {
    const ms: number[] = [];
    for (let made = 1; made <= count; made += 1) {
      const key = `schema-${made}`;
      const began = performance.now();
      await app.tenants.create({ key, name: key, isolation: "schema" });
      ms.push(performance.now() - began);
      if (made % 50 === 0) bench.progress(`schemas: ${made} of ${count}`);
    }
    return ms;
  });
  const made = marks.map((mark) => ({
    mark,
    ms: median(times.slice(mark - together, mark)),
  }));
  const after = await bench.database.connected(measureCatalogue);

  bench.progress("schemas: doctor and migrate up, with nothing to do");
  const looked: { name: string; beforeMs: number; ms: number }[] = [];
  for (const [name, args] of Object.entries(commands)) {
    looked.push({ name, beforeMs: atFirst.get(name) ?? 0, ms: await timeOf(args) });
  }
  const first = made[0]?.ms ?? 0;
  const last = made.at(-1)?.ms ?? 0;
  const megabytes = (after.bytes - before.bytes) / count / 2 ** 20;
  const rows = Math.round((after.rows - before.rows) / count);
  return {
    title: "Many schemas",
    text:
      `\`app.tenants.create\` with \`isolation: "schema"\`, one after another; each figure is the median of the ` +
      `last ${together} up to it. A new schema takes ${megabytes.toFixed(1)} MB and ${rows} rows of ` +
      "`pg_class`. The commands run in a process of their own, and have nothing to do.",
    columns: ["what", "without schemas", "takes"],
    rows: [
      ...made.map(({ mark, ms }) => [`the ${mark}th schema`, "", milliseconds(ms)]),
      ...looked.map(({ name, beforeMs, ms }) => [
        `\`${name}\` with ${count} schemas`,
        milliseconds(beforeMs),
        milliseconds(ms),
      ]),
    ],
    verdicts: [
      {
        promise: `the ${count}th schema is made as fast as the 10th`,
        target: `≤ ${targetRatio}×`,
        found: `${(last / first).toFixed(2)}×`,
        met: last <= targetRatio * first,
      },
      ...looked.map(({ name, ms }) => ({
        promise: `\`${name}\` with ${count} schemas and nothing to do`,
        target: `< ${targetSeconds} s`,
        found: milliseconds(ms),
        met: ms < targetSeconds * 1_000,
      })),
    ],
    data: { made, looked, megabytes, rows },
  };
}

async function measureCatalogue(client: pg.Client): Promise<Catalogue> {
  const { rows } = await client.query<{ bytes: string; rows: string }>(
    `select pg_database_size(current_database()) as bytes, (select count(*) from pg_class) as rows`,
  );
  return { bytes: Number(rows[0]?.bytes), rows: Number(rows[0]?.rows) };
}
