import { seconds } from "../format.ts";
import { repository } from "../insulae.ts";
import type { Bench, Section } from "../scenario.ts";
import { startServer } from "../server-process.ts";
import { median } from "../statistics.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const laterStarts = 3;

/** From `npm start` to the first 200 of `/health`: first with initdb, then on the existing data. */
export async function start(bench: Bench): Promise<Section> {
  const folder = temporaryFolder();
  try {
    bench.progress("npm start, the first time");
    const first = await startOnce(folder.path);
    const later: Times[] = [];
    for (let i = 0; i < laterStarts; i += 1) {
      bench.progress("npm start, again");
      later.push(await startOnce(folder.path));
    }
    const laterMs = median(later.map(({ startMs }) => startMs));
    const stopMs = median([first, ...later].map((times) => times.stopMs));
    return {
      title: "Start",
      text: "From `npm start` (npm's own time included) to the first 200 of `/health`, on the embedded PostgreSQL.",
      columns: ["", "time"],
      rows: [
        ["first start, with initdb", seconds(first.startMs)],
        [`later starts (median of ${laterStarts})`, seconds(laterMs)],
        ["stop, with PostgreSQL (median)", seconds(stopMs)],
      ],
      verdicts: [
        verdict("first start", first.startMs, 5000),
        verdict("later start", laterMs, 2000),
        verdict("stop", stopMs, 3000),
      ],
      data: { firstMs: first.startMs, laterMs, stopMs },
    };
  } finally {
    folder.remove();
  }
}

interface Times {
  readonly startMs: number;
  readonly stopMs: number;
}

async function startOnce(dataDir: string): Promise<Times> {
  const server = await startServer({
    command: "npm",
    args: ["start"],
    cwd: repository,
    env: { DATA_DIR: dataDir, HOST: "127.0.0.1" },
    probe: "/health",
    healthy: true,
    timeoutMs: 60_000,
  });
  const began = performance.now();
  await server.stop();
  return { startMs: server.startMs, stopMs: performance.now() - began };
}

const verdict = (what: string, ms: number, target: number) => ({
  promise: what,
  target: `< ${target / 1000} s`,
  found: seconds(ms),
  met: ms < target,
});
