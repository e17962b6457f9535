/**
 * A steady load independent of response times (an open loop: a slow response does not delay the
 * next request).
 */
import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Caller } from "./dataset.ts";

export interface Steadiness {
  readonly perSecond: number;
  readonly seconds: number;
}

export interface Waits {
  /** Each request's duration in milliseconds. */
  readonly waits: readonly number[];
  /** Responses other than 200. */
  readonly failed: number;
}

/** Lists contacts at a fixed rate, whether or not earlier requests have been answered. */
export async function ask(
  baseUrl: string,
  caller: Caller,
  { perSecond, seconds }: Steadiness,
): Promise<Waits> {
  const agent = new Agent({ keepAlive: true });
  const waits: number[] = [];
  let failed = 0;
  const answers: Promise<void>[] = [];
  const began = performance.now();
  for (let i = 0; i < seconds * perSecond; i += 1) {
    const due = began + (i * 1000) / perSecond;
    await sleep(Math.max(0, due - performance.now()));
    const sent = performance.now();
    answers.push(
      statusOf(`${baseUrl}/api/v1/contacts?limit=25`, caller.token, agent).then((status) => {
        waits.push(performance.now() - sent);
        if (status !== 200) failed += 1;
      }),
    );
  }
  await Promise.all(answers);
  agent.destroy();
  return { waits, failed };
}

const statusOf = (url: string, token: string, agent: Agent): Promise<number> =>
  new Promise((resolve, reject) => {
    get(url, { agent, headers: { authorization: `Bearer ${token}` } }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    }).on("error", reject);
  });
