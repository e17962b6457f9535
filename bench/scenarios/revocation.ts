/**
 * How long after a revocation another node still accepts the credential. Two servers on one
 * database, without Redis: the credential is revoked on one, and tried on the other until it is
 * refused. The time starts when the revocation is sent, so it includes its own work.
 */
import { milliseconds } from "../format.ts";
import type { Bench, Section } from "../scenario.ts";
import { median } from "../statistics.ts";
import { createRevocations, type Nodes, type Revocation } from "./revocations.ts";

const repetitions = 20;
const largestMs = 1000;

export async function revocation(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const one = await insulae.start();
  try {
    const other = await insulae.start();
    try {
      return await insulae.withServices(async (_services, installation) => {
        const nodes = { one: one.baseUrl, other: other.baseUrl };
        const revocations = await createRevocations(bench.database, installation, nodes);
        const measured: { name: string; ms: number[] }[] = [];
        for (const { name, prepare } of revocations) {
          bench.progress(`revocation: ${name}`);
          measured.push({ name, ms: await repeat(prepare, nodes) });
        }
        return report(measured);
      });
    } finally {
      await other.stop();
    }
  } finally {
    await one.stop();
  }
}

async function repeat(prepare: Revocation["prepare"], nodes: Nodes): Promise<number[]> {
  const ms: number[] = [];
  for (let i = 0; i < repetitions; i += 1) {
    const { token, revoke } = await prepare();
    const ask = () => statusOf(nodes.other, token);
    // Fill the other node's caches.
    for (let asked = 0; asked < 3; asked += 1) {
      const status = await ask();
      if (status !== 200)
        throw new Error(`the credential was refused before it was revoked: ${status}`);
    }
    const began = performance.now();
    let refused: number | undefined;
    const asking = (async () => {
      while ((await ask()) === 200) {
        if (performance.now() - began > 30_000)
          throw new Error("the revoked credential is still accepted after 30 s");
      }
      refused = performance.now() - began;
    })();
    await Promise.all([revoke(), asking]);
    ms.push(refused ?? Number.NaN);
  }
  return ms;
}

async function statusOf(baseUrl: string, token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`${baseUrl}/api/v1/users?limit=1`, { headers });
  await answer.arrayBuffer();
  return answer.status;
}

function report(measured: readonly { readonly name: string; readonly ms: number[] }[]): Section {
  const rows = measured.map(({ name, ms }) => ({
    name,
    medianMs: median(ms),
    worstMs: Math.max(...ms),
  }));
  return {
    title: "Revocation on another node",
    text:
      "Two servers on one PostgreSQL, without Redis: from the moment the one is told to revoke until the other " +
      `refuses; ${repetitions} times each.`,
    columns: ["", "median", "worst"],
    rows: rows.map(({ name, medianMs, worstMs }) => [
      name,
      milliseconds(medianMs),
      milliseconds(worstMs),
    ]),
    verdicts: rows.map(({ name, worstMs }) => ({
      promise: `revocation on another node: ${name}, at worst`,
      target: `< ${largestMs / 1000} s`,
      found: milliseconds(worstMs),
      met: worstMs < largestMs,
    })),
    data: measured,
  };
}
