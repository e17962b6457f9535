/**
 * Vitest's `setupFiles`: a file of tests that leaves a server, a socket, a process or a timer behind
 * fails, since what leaks in a test leaks in production; one that leaves the clock stopped, too, since the
 * worker's next file would find it so.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, vi } from "vitest";

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
function leaked(before: readonly string[], after: readonly string[]): string[] {
  const rest = [...after];
  for (const kind of before) {
    const index = rest.indexOf(kind);
    if (index >= 0) rest.splice(index, 1);
  }
  return rest;
}

// These are made when somebody first looks at them; whoever does leaves nothing behind.
void [process.stdin, process.stdout, process.stderr];
const before = openResources();

afterAll(async () => {
  if (vi.isFakeTimers()) {
    vi.useRealTimers();
    throw new Error("This file of tests left the clock stopped");
  }
  let left: string[];
  const deadline = Date.now() + 2000;
  do {
    await sleep(10); // What was closed takes a moment to go.
    left = leaked(before, openResources());
  } while (left.length > 0 && Date.now() < deadline);
  if (left.length > 0) throw new Error(`This file of tests left open: ${left.join(", ")}`);
});
