/**
 * Amazon's services for a test, by somebody else: moto's server, which knows S3, SES and SNS and
 * checks signatures, policies and parameters in its own way. It takes a `moto_server` on the PATH
 * (`pip install 'moto[server,s3,ses,sns]'`). Where there is none, the tests that need it are left out,
 * and the run says which; with `INSULAE_TEST_MOTO=required` (as in CI) they fail instead.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { describeWith, findProgram } from "./left-out.ts";

export interface TestMoto {
  /** What the AWS SDK's `endpoint` is to be: `http://127.0.0.1:41234`. */
  readonly url: string;
  /** Forgets everything that it was told. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

const installed = () => findProgram("moto_server");

/** `describe`, for tests that need Amazon's services. */
export const describeWithMoto = describeWith({
  name: "moto_server",
  variable: "INSULAE_TEST_MOTO",
  find: installed,
});

/** Starts one on a free port of the loopback interface; it keeps all in memory. */
export async function startTestMoto(): Promise<TestMoto> {
  const binary = installed();
  if (!binary) throw new Error("There is no moto_server on the PATH");
  const server = spawn(binary, ["-H", "127.0.0.1", "-p", "0"], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, PYTHONUNBUFFERED: "1" },
  });
  // Should the tests end without `stop`.
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
