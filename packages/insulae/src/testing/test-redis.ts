/**
 * A real Redis for one test, which can pause or kill it. Needs a `redis-server` or `valkey-server`
 * on the PATH. Without it, the tests that need it are skipped and listed at the end of the run;
 * with `INSULAE_TEST_REDIS=required` (as in CI) they fail.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createClient } from "redis";
import { freePort } from "./free-port.ts";
import { describeWith, findProgram } from "./left-out.ts";

export interface TestRedis {
  readonly url: string;
  /** Runs a command, bypassing the tested code. */
  command(...args: readonly string[]): Promise<unknown>;
  /** It keeps connections open and accepts new ones, but answers nothing. */
  pause(): void;
  resume(): void;
  /** Like `kill -9`. */
  kill(): Promise<void>;
  /** After `kill`: the same address, empty. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const installed = () => findProgram("redis-server", "valkey-server");

/** `describe` for tests that need Redis. */
export const describeWithRedis = describeWith({
  name: "redis-server",
  variable: "INSULAE_TEST_REDIS",
  find: installed,
});

/** Starts one without persistence. */
export async function startTestRedis(): Promise<TestRedis> {
  const binary = installed();
  if (!binary) throw new Error("There is no redis-server on the PATH");
  const folder = mkdtempSync(join(tmpdir(), "insulae-redis-"));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let server = await start(binary, port, folder);
  const end = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGKILL");
    await ended;
  };
  return {
    url,
    async command(...args) {
      const client = createClient({ url });
      await client.connect();
      try {
        return await client.sendCommand([...args]);
      } finally {
        client.destroy();
      }
    },
    pause: () => void server.kill("SIGSTOP"),
    resume: () => void server.kill("SIGCONT"),
    kill: end,
    async restart() {
      server = await start(binary, port, folder);
    },
    async stop() {
      await end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function start(binary: string, port: number, folder: string): Promise<ChildProcess> {
  const settings = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder];
  const server = spawn(binary, settings.map(String), { stdio: ["ignore", "pipe", "inherit"] });
  // If the tests exit without `stop`.
  const kill = () => void server.kill("SIGKILL");
  process.once("exit", kill);
  server.once("exit", () => process.off("exit", kill));
  const lines: string[] = [];
  for await (const line of createInterface({ input: server.stdout })) {
    lines.push(line);
    if (line.includes("Ready to accept connections")) {
      server.stdout.resume();
      return server;
    }
  }
  throw new Error(`${binary} did not start:\n${lines.join("\n")}`);
}
