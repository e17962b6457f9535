import { bestName, createContenders, usualName } from "../contenders.ts";
import { removeInserted } from "../dataset.ts";
import { megabytes } from "../format.ts";
import type { Bench, Section } from "../scenario.ts";
import type { ServerProcess } from "../server-process.ts";

/** Resident memory of each server's process after its start, and the peak under load. */
export async function memory(bench: Bench): Promise<Section> {
  const contenders = (await createContenders(await bench.insulae())).filter(
    ({ name, missing }) =>
      missing === undefined && (name.startsWith("Insulae") || [usualName, bestName].includes(name)),
  );
  const measured: { name: string; idle: number | undefined; loaded: number | undefined }[] = [];
  for (const { name, start, databases = [undefined] } of contenders) {
    bench.progress(`memory: ${name}`);
    const runner = await start();
    try {
      const idle = runner.server?.memory();
      const peak = watchPeak(runner.server);
      for (const operation of ["list", "insert"] as const) {
        await runner.measure(operation, bench.options.seconds);
      }
      measured.push({ name, idle, loaded: peak() });
    } finally {
      await runner.stop();
      for (const database of databases) await bench.database.connected(removeInserted, database);
    }
  }
  return {
    title: "Memory",
    text: "Resident memory of the server's process, without PostgreSQL: after the start, and the peak during a list and an insert load.",
    columns: ["", "idle", "under load"],
    rows: measured.map(({ name, idle, loaded }) => [name, megabytes(idle), megabytes(loaded)]),
    verdicts: [],
    data: measured,
  };
}

function watchPeak(server: ServerProcess | undefined): () => number | undefined {
  let peak = server?.memory();
  const timer = setInterval(() => {
    const now = server?.memory();
    if (now !== undefined && now > (peak ?? 0)) peak = now;
  }, 50);
  return () => {
    clearInterval(timer);
    return peak;
  };
}
