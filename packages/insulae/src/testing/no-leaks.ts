/**
 * Vitest's `setupFiles`: a file of tests that leaves a server, a socket, a process or a timer behind
 * fails, since what leaks in a test leaks in production.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll } from "vitest";

const watched = [
  "TCPServerWrap",
  "TCPSocketWrap",
  "PipeWrap",
  "PipeServerWrap",
  "ProcessWrap",
  "UDPWrap",
  "Timeout",
];

function openResources(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => watched.includes(kind));
}

/** What is in `after` beyond what was in `before`. */
export function leaked(before: readonly string[], after: readonly string[]): string[] {
  const rest = [...after];
  for (const kind of before) {
    const index = rest.indexOf(kind);
    if (index >= 0) rest.splice(index, 1);
  }
  return rest;
}

let before: string[] = [];
beforeAll(() => {
  before = openResources();
});

afterAll(async () => {
  for (let tries = 0; tries < 40 && leaked(before, openResources()).length > 0; tries += 1) {
    await sleep(50, undefined, { ref: false });
  }
  const left = leaked(before, openResources());
  if (left.length > 0) throw new Error(`This file of tests left open: ${left.join(", ")}`);
});
