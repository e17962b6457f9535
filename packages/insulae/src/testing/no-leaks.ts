/**
 * Vitest's `setupFiles`: fails a test file that leaves a server, socket, process or timer open,
 * because what leaks in a test leaks in production; or that leaves fake timers on, which would
 * affect the worker's next file.
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

/** The items of `after` that are not in `before`. */
function leaked(before: readonly string[], after: readonly string[]): string[] {
  const rest = [...after];
  for (const kind of before) {
    const index = rest.indexOf(kind);
    if (index >= 0) rest.splice(index, 1);
  }
  return rest;
}

// Created lazily on first access; don't report them as leaks.
void [process.stdin, process.stdout, process.stderr];
const before = openResources();

afterAll(async () => {
  if (vi.isFakeTimers()) {
    vi.useRealTimers();
    throw new Error("This test file left the fake timers on");
  }
  let left: string[];
  const deadline = Date.now() + 2000;
  do {
    await sleep(10); // Closed resources take a moment to disappear.
    left = leaked(before, openResources());
  } while (left.length > 0 && Date.now() < deadline);
  if (left.length > 0) throw new Error(`This test file left open: ${left.join(", ")}`);
});
