/**
 * A tenant moves round the isolations while it is written to: how fast rows are copied, for how long its
 * writers wait, and what another tenant of the pool notices. Everything runs in one process, so the
 * writers, the mover and PostgreSQL share the machine.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Tenant } from "../../packages/insulae/src/index.ts";
import { count, milliseconds, times } from "../format.ts";
import type { Services } from "../insulae.ts";
import type { Bench, Section } from "../scenario.ts";
import { median, quantile } from "../statistics.ts";

const round = ["schema", "database", "pool"] as const;
const target = { medianMs: 100, worstMs: 250 } as const;

interface Measured {
  readonly rows: number;
  readonly rowsPerSecond: number;
  readonly pauseMs: number;
  /** The longest that a client of the moving tenant waited for a write. */
  readonly gapMs: number;
  /** 99 of 100 writes of another tenant took at most so long: before, and during the move. */
  readonly othersQuietMs: number;
  readonly othersMs: number;
}

export async function moves(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const sizes = bench.options.full ? [1_000, 10_000, 100_000] : [1_000, 10_000];
  const measured = await insulae.withServices(async (services) => {
    const all: Measured[] = [];
    for (const rows of sizes) {
      bench.progress(`moves: ${rows} rows`);
      all.push(...(await goRound(services, rows)));
    }
    return all;
  });
  const bySize = sizes.map((rows) => measured.filter((each) => each.rows === rows));
  const pauses = measured.map(({ pauseMs }) => pauseMs);
  return {
    title: "Moving a tenant",
    text:
      "A tenant with so many contacts goes from the pool to a schema, a database and back while four clients write to it, and two " +
      "to another tenant of the pool. Nothing is lost; the figures are of each round's three moves.",
    columns: ["rows", "copied", "pause", "longest wait of a client", "p99 of another tenant"],
    rows: bySize.map((each) => [
      count(each[0]?.rows ?? 0),
      `${count(median(each.map(({ rowsPerSecond }) => rowsPerSecond)))} rows/s`,
      each.map(({ pauseMs }) => milliseconds(pauseMs)).join(", "),
      milliseconds(Math.max(...each.map(({ gapMs }) => gapMs))),
      times(median(each.map(({ othersMs, othersQuietMs }) => othersMs / othersQuietMs))),
    ]),
    verdicts: [
      {
        promise: "moving a tenant: its writers wait, at the median",
        target: `< ${target.medianMs} ms`,
        found: milliseconds(median(pauses)),
        met: median(pauses) < target.medianMs,
      },
      {
        promise: "moving a tenant: its writers wait, at worst",
        target: `< ${target.worstMs} ms`,
        found: milliseconds(Math.max(...pauses)),
        met: Math.max(...pauses) < target.worstMs,
      },
    ],
    data: measured,
  };
}

async function goRound(services: Services, rows: number): Promise<readonly Measured[]> {
  const { tenants } = services.platform;
  const tenant = await tenants.create({ key: `moving-${rows}`, name: "Moving" });
  const other = await tenants.create({ key: `staying-${rows}`, name: "Staying" });
  await fill(services, tenant, rows);
  const measured: Measured[] = [];
  for (const isolation of round) {
    const quiet = write(services, other, 2);
    await sleep(2_000);
    const quietMs = quantile(await quiet.stop(), 0.99);
    const moving = write(services, tenant, 4);
    const others = write(services, other, 2);
    const move = await services.platform.moves.start(tenant.id, { isolation });
    await services.mover.run(move.id);
    const { state, error, report } = await services.platform.moves.get(move.id);
    const [movingMs, othersMs] = [await moving.stop(), await others.stop()];
    if (state !== "kept") throw new Error(`the tenant was not moved: ${error}`);
    await services.platform.moves.release(move.id);
    await services.mover.run(move.id);
    measured.push({
      rows,
      rowsPerSecond: report.rows_per_second ?? 0,
      pauseMs: report.pause_ms ?? Number.NaN,
      gapMs: Math.max(...movingMs),
      othersQuietMs: quietMs,
      othersMs: quantile(othersMs, 0.99),
    });
  }
  return measured;
}

const fill = ({ platform }: Services, tenant: Tenant, rows: number) =>
  platform.withTenant(tenant, ({ db }) =>
    db.query(
      `insert into contacts (name, email, company)
       select 'Contact ' || n, 'contact' || n || '@example.com', 'Company ' || n % 97
       from generate_series(1, $1::int) n`,
      [rows],
    ),
  );

/** Writes with so many clients. @returns how long each write took, in milliseconds, when it is stopped */
function write({ platform }: Services, tenant: Tenant, clients: number) {
  const took: number[] = [];
  let stopped = false;
  const work = async () => {
    while (!stopped) {
      const began = performance.now();
      // By key, as a request would: the tenant's place is asked for each time.
      await platform.withTenant(tenant.key, ({ db }) =>
        db.query("insert into contacts (name) values ('written meanwhile')", []),
      );
      took.push(performance.now() - began);
      await sleep(5);
    }
  };
  const working = Promise.all(Array.from({ length: clients }, work));
  working.catch(() => undefined);
  return {
    async stop(): Promise<readonly number[]> {
      stopped = true;
      await working;
      return took;
    },
  };
}
