import { spawn } from "node:child_process";
import { freePort } from "../packages/insulae/src/testing/free-port.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { isOnPath } from "./which.ts";

export interface RedisServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a Redis without persistence; undefined if there is no `redis-server` on the PATH. */
export async function startRedis(): Promise<RedisServer | undefined> {
  const binary = ["redis-server", "valkey-server"].find(isOnPath);
  if (!binary) return undefined;
  const folder = temporaryFolder();
  const port = await freePort();
  const settings = ["--port", String(port), "--bind", "127.0.0.1", "--save", ""];
  const child = spawn(binary, [...settings, "--dir", folder.path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const kill = () => void child.kill("SIGKILL");
  process.on("exit", kill);
  const ready = new Promise<void>((resolve) => {
    child.stdout.on("data", (text) => {
      if (String(text).includes("Ready to accept connections")) resolve();
    });
  });
  await Promise.race([
    ready,
    ended.then(() => Promise.reject(new Error(`${binary} did not start`))),
  ]);
  return {
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      kill();
      await ended;
      process.off("exit", kill);
      folder.remove();
    },
  };
}
