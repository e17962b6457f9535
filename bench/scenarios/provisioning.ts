import { milliseconds } from "../format.ts";
import type { Bench, Section } from "../scenario.ts";
import { median, quantile } from "../statistics.ts";

const isolations = ["pool", "schema", "database"] as const;
const repetitions = 20;
const targets = { pool: 20, schema: undefined, database: 300 };

/** The duration of `app.tenants.create`, until the tenant is migrated, active and usable. */
export async function provisioning(bench: Bench): Promise<Section> {
  const { withApp } = await bench.insulae();
  const measured = await withApp(async (app) => {
    const times = isolations.map((isolation) => ({ isolation, ms: [] as number[] }));
    for (const { isolation, ms } of times) {
      bench.progress(`provisioning: ${isolation}`);
      // The first of each isolation may create what the others share, such as the template
      // database.
      for (let i = 0; i <= repetitions; i += 1) {
        const key = `new-${isolation}-${i}`;
        const began = performance.now();
        await app.tenants.create({ key, name: key, isolation });
        if (i > 0) ms.push(performance.now() - began);
      }
    }
    return times;
  });
  const rows = measured.map(({ isolation, ms }) => ({
    isolation,
    medianMs: median(ms),
    p95Ms: quantile(ms, 0.95),
  }));
  return {
    title: "A new tenant",
    text: `\`app.tenants.create\`, one after another, ${repetitions} of each isolation.`,
    columns: ["isolation", "median", "p95"],
    rows: rows.map(({ isolation, medianMs, p95Ms }) => [
      isolation,
      milliseconds(medianMs),
      milliseconds(p95Ms),
    ]),
    verdicts: rows.flatMap(({ isolation, medianMs }) => {
      const target = targets[isolation];
      if (target === undefined) return [];
      return {
        promise: `a new tenant in ${isolation === "pool" ? "the pool" : "a database"}, migrated and ready`,
        target: `< ${target} ms`,
        found: milliseconds(medianMs),
        met: medianMs < target,
      };
    }),
    data: rows,
  };
}
