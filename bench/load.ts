/**
 * HTTP load by wrk if it is on the PATH, otherwise autocannon (which takes more of the machine that
 * it shares with the server, so its figures are lower). Both choose a tenant and one of its
 * contacts at random for each request.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Caller } from "./dataset.ts";
import { runProgram } from "./program.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { isOnPath } from "./which.ts";

export const operations = ["list", "one", "insert"] as const;
export type Operation = (typeof operations)[number];

export interface Load {
  readonly baseUrl: string;
  /** The path before `/contacts`. */
  readonly prefix: string;
  /**
   * `elsewhere`: lists the contacts of the caller's ordinal with another tenant's token: 403, then
   * 429.
   */
  readonly operation: Operation | "elsewhere";
  readonly callers: readonly Caller[];
  readonly seconds: number;
  readonly connections: number;
  /** Threads of wrk; default 2. */
  readonly threads?: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Responses other than 2xx, and requests without a response. */
  readonly failed: number;
  /** Unknown for pgbench. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

export const loadGenerator = (): "wrk" | "autocannon" => (isOnPath("wrk") ? "wrk" : "autocannon");

/** @throws Error if the generator fails; failed requests are only counted */
export async function runLoad(load: Load): Promise<LoadResult> {
  const folder = temporaryFolder();
  const callers = join(folder.path, "callers.txt");
  writeFileSync(callers, load.callers.map((c) => `${c.ordinal} ${c.token}\n`).join(""));
  const { baseUrl, prefix, operation, seconds, connections, threads = 2 } = load;
  const script = (name: string) => join(import.meta.dirname, "load", name);
  try {
    const common = [operation, prefix, callers];
    const [command, args] =
      loadGenerator() === "wrk"
        ? [
            "wrk",
            [
              ...[`-t${Math.min(threads, connections)}`, `-c${connections}`, `-d${seconds}s`],
              ...["-s", script("wrk.lua"), baseUrl, "--", ...common],
            ],
          ]
        : [
            process.execPath,
            [script("autocannon.ts"), baseUrl, ...common, String(connections), String(seconds)],
          ];
    const { stdout } = await runProgram(command, args);
    return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
  } finally {
    folder.remove();
  }
}
