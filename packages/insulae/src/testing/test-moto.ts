/**
 * A simulation of AWS for tests: moto's server, which implements S3, SES and SNS and checks
 * signatures, policies and parameters independently. Needs a `moto_server` on the PATH (`pip
 * install 'moto[server,s3,ses,sns]'`). Without it, the tests that need it are skipped and listed at
 * the end of the run; with `INSULAE_TEST_MOTO=required` (as in CI) they fail.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { describeWith, findProgram } from "./left-out.ts";

export interface TestMoto {
  /** For the AWS SDK's `endpoint`: `http://127.0.0.1:41234`. */
  readonly url: string;
  /** Resets its state. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

const installed = () => findProgram("moto_server");

/** `describe` for tests that need AWS. */
export const describeWithMoto = describeWith({
  name: "moto_server",
  variable: "INSULAE_TEST_MOTO",
  find: installed,
});

/** Starts one on a free loopback port, with all state in memory. */
export async function startTestMoto(): Promise<TestMoto> {
  const binary = installed();
  if (!binary) throw new Error("There is no moto_server on the PATH");
  const server = spawn(binary, ["-H", "127.0.0.1", "-p", "0"], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, PYTHONUNBUFFERED: "1" },
  });
  // If the tests exit without `stop`.
  const kill = () => void server.kill("SIGKILL");
  process.once("exit", kill);
  const url = await listening(server, server.stderr);
  return {
    url,
    async reset() {
      const answer = await fetch(`${url}/moto-api/reset`, { method: "POST" });
      if (!answer.ok) throw new Error(`moto answered ${answer.status}`);
    },
    async stop() {
      process.off("exit", kill);
      if (server.exitCode !== null || server.signalCode !== null) return;
      const ended = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGKILL");
      await ended;
    },
  };
}

async function listening(server: ChildProcess, output: NodeJS.ReadableStream): Promise<string> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: output })) {
    lines.push(line);
    const url = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1];
    if (url !== undefined) {
      output.resume();
      return url;
    }
  }
  throw new Error(`moto_server did not start (${server.exitCode}):\n${lines.join("\n")}`);
}
