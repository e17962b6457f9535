/** What the README says is run as it stands there, in the order in which it stands there. */
import { execFileSync, spawn } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort, type StartedServer, startServer, temporaryFolder } from "./server.ts";

let readme: string;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;

const snippets = (heading: string, language: string): string[] => {
  const section = readme.split(/^## /m).find((part) => part.startsWith(heading)) ?? "";
  return [...section.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)]
    .filter(([, found]) => found === language)
    .map(([, , code]) => code ?? "");
};

beforeAll(async () => {
  readme = await readFile("README.md", "utf8");
  folder = await temporaryFolder();
  server = await startServer({ dataDir: `${folder.path}/data` });
});

afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

test("the first five minutes", () => {
  const parts = snippets("The first five minutes", "sh");
  expect(parts.length).toBe(4);
  const script = ["set -eu", ...parts.map((part) => `${part}\necho; echo ==`)].join("\n");
  const output = execFileSync(
    "bash",
    ["-c", script.replaceAll("localhost:8000", new URL(server.url).host)],
    {
      encoding: "utf8",
    },
  );
  const [made = "", , listed = "", denied = ""] = output.split("==\n");
  expect(made).toContain('"isolation":"pool"');
  expect(made).toContain('"isolation":"database"');
  expect(listed.match(/Grace Hopper/g)).toHaveLength(2);
  expect(listed).toContain('"items":[]');
  expect(JSON.parse(denied).code).toBe("tenant_access_denied");
});

// Shows S0-007, S3-007, S3-014, S3-016, S3-017, S3-023
test("your own tables and routes", async () => {
  const [sql = ""] = snippets("Your own tables and routes", "sql");
  const [program = ""] = snippets("Your own tables and routes", "ts");
  // Inside the workspace, so that "insulae" is found as it is where it was installed.
  const place = `acceptance/.snippets/${process.pid}`;
  await mkdir(`${place}/migrations`, { recursive: true });
  const port = await freePort();
  await writeFile(`${place}/migrations/0001_notes.sql`, sql);
  await writeFile(`${place}/main.ts`, program);
  const child = spawn(process.execPath, [`${place}/main.ts`], {
    env: {
      ...process.env,
      ...{ NODE_ENV: "", PORT: String(port), DATA_DIR: `${folder.path}/notes`, LOG_LEVEL: "warn" },
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  try {
    const document = await untilAnswered(`http://localhost:${port}/api-docs/openapi.json`);
    expect(Object.keys(document.paths)).toContain("/api/v1/notes");
    const notes = await fetch(`http://localhost:${port}/api/v1/notes`);
    expect(notes.status).toBe(401);
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
    await rm("acceptance/.snippets", { recursive: true, force: true });
  }
});

async function untilAnswered(url: string): Promise<{ paths: Record<string, unknown> }> {
  for (let tries = 0; tries < 200; tries += 1) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return (await response.json()) as { paths: Record<string, unknown> };
    await sleep(100);
  }
  throw new Error(`${url} did not answer`);
}
