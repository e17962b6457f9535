/**
 * The response time for a hundred clients that all list continuously. Of the five source systems
 * only the address book publishes a comparable figure, as a goal.
 */
import { count, milliseconds } from "../format.ts";
import { runLoad } from "../load.ts";
import type { Bench, Section } from "../scenario.ts";

const connections = 100;
const largestMs = 100;

export async function clients(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const server = await insulae.start();
  try {
    const { baseUrl } = server;
    const callers = insulae.pool;
    const load = (seconds: number) =>
      runLoad({ baseUrl, prefix: "/api/v1", operation: "list", callers, seconds, connections });
    bench.progress("clients: warming up");
    await load(2);
    bench.progress("clients: measuring");
    const { requests, seconds, failed, p50Ms, p99Ms } = await load(bench.options.seconds);
    // Each client has one request in flight at any time (Little's law).
    const averageMs = (connections * seconds * 1000) / requests;
    return {
      title: "A hundred clients",
      text:
        `${connections} clients with tokens, each of which requests a list of 25 as soon as it has the previous one. ` +
        `Of the five sources one publishes a figure, the address book: a goal of less than ${largestMs} ms on average, for no number of clients.`,
      columns: ["requests/s", "average", "p50", "p99", "failed"],
      rows: [
        [
          count(requests / seconds),
          milliseconds(averageMs),
          milliseconds(p50Ms),
          milliseconds(p99Ms),
          String(failed),
        ],
      ],
      verdicts: [
        {
          promise: `the average answer to ${connections} clients with tokens`,
          target: `< ${largestMs} ms`,
          found: milliseconds(averageMs),
          met: averageMs < largestMs && failed === 0,
        },
      ],
      data: { requests, seconds, failed, averageMs, p50Ms, p99Ms },
    };
  } finally {
    await server.stop();
  }
}
