/**
 * A mover in its own process, for tests that kill or pause it: it sends itself the signal at the step
 * where it is to die. Without one it moves to the end.
 */
import { pino } from "pino";
import { createMover } from "../kernel/moves/mover.ts";
import { moveTables } from "./move-writer.ts";
import { createTestInstallation, testFeature } from "./test-installation.ts";

interface Work {
  readonly url: string;
  readonly move: string;
  readonly step: string;
  readonly signal: "SIGKILL" | "SIGSTOP";
}

// written by the test that starts this
const { url, move, step, signal } = JSON.parse(process.argv[2] ?? "") as Work;
const installation = await createTestInstallation(
  [await testFeature("movable", [moveTables])],
  url,
);
const mover = createMover({
  ...installation,
  forget: () => {},
  audit: async () => {},
  log: pino({ level: "silent" }),
  at: (reached) => {
    if (reached !== step) return;
    process.stdout.write("reached\n");
    process.kill(process.pid, signal);
  },
});
await mover.run(move);
process.exit(0);
