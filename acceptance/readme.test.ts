/** Runs what the README shows, verbatim and in its order. */
import { execFileSync, spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Block, blocksOf, writeBlock } from "./page-blocks.ts";
import { freePort, type StartedServer, startServer, temporaryFolder } from "./server.ts";
import { until } from "./until.ts";

let readme: readonly Block[];
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;

const blocksBelow = (heading: string): Block[] =>
  readme.filter((block) => block.heading === heading);

beforeAll(async () => {
  readme = await blocksOf("README.md");
  folder = await temporaryFolder();
  server = await startServer({ dataDir: `${folder.path}/data` });
});

afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

test("the first five minutes work, also when repeated", () => {
  const parts = blocksBelow("The first five minutes").map(({ code }) => code);
  expect(parts.length).toBe(5);
  const script = ["set -eu", ...parts.map((part) => `${part}\necho ==`)].join("\n");
  const paste = () =>
    execFileSync("sh", ["-c", script.replaceAll("localhost:8000", new URL(server.url).host)], {
      encoding: "utf8",
    }).split("==\n");
  const [, made = "", listed = "", denied = "", owned = ""] = paste();
  expect(made).toContain('"isolation":"pool"');
  expect(made).toContain('"isolation":"database"');
  expect(listed.match(/Grace Hopper/g)).toHaveLength(2);
  expect(listed).toContain('"items":[]');
  expect(JSON.parse(denied).code).toBe("tenant_access_denied");
  expect(owned).toContain('"role":"owner"');
  expect(owned).toContain('"action":');

  const [registered = "", again = "", both = "", refused = "", still = ""] = paste();
  expect(JSON.parse(registered).status).toBe(409);
  expect(again.match(/"status":409/g)).toHaveLength(2);
  expect(both.match(/Grace Hopper/g)).toHaveLength(3);
  expect(both).toContain('"items":[]');
  expect(JSON.parse(refused).code).toBe("tenant_access_denied");
  expect(still).toContain('"role":"owner"');
});

test("your own tables and routes work", async () => {
  // Inside the workspace, so that "insulae" is found as if installed.
  const place = join(import.meta.dirname, `.snippets/readme-${process.pid}`);
  const files = blocksBelow("Your own tables and routes").filter(({ file }) => file !== undefined);
  expect(files.length).toBe(3);
  for (const block of files) await writeBlock(place, block);
  const port = await freePort();
  const command = join(import.meta.dirname, "../packages/insulae/src/cli/main.ts");
  const child = spawn(process.execPath, [command, "start", "--port", String(port)], {
    cwd: place,
    env: { ...process.env, NODE_ENV: "", DATA_DIR: `${folder.path}/notes`, APP_WS_PORT: "0" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    const document = await untilAnswered(`http://localhost:${port}/api-docs/openapi.json`);
    expect(Object.keys(document.paths)).toContain("/api/v1/notes");
    const notes = await fetch(`http://localhost:${port}/api/v1/notes`);
    expect(notes.status).toBe(401);
  } finally {
    child.kill("SIGTERM");
    await ended;
    await rm(place, { recursive: true, force: true });
  }
});

const untilAnswered = (url: string): Promise<{ paths: Record<string, unknown> }> =>
  until(`${url} answers`, async () => {
    const response = await fetch(url).catch(() => undefined);
    return response?.ok && ((await response.json()) as { paths: Record<string, unknown> });
  });
