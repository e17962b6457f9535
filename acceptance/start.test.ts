import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { clientOf, newTenantWithUser } from "./client.ts";
import { freePort, startServer, temporaryFolder } from "./server.ts";
import { until } from "./until.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeEach(async () => {
  folder = await temporaryFolder();
});

afterEach(() => folder.remove());

/** The processes started with the data folder, or working in it as all of PostgreSQL's do. */
function processesOf(dataDir: string): string[] {
  const of = (path: string, read: (path: string) => string): string => {
    try {
      return read(path);
    } catch {
      return ""; // it has exited
    }
  };
  return readdirSync("/proc").filter(
    (pid) =>
      /^\d+$/.test(pid) &&
      (of(`/proc/${pid}/cwd`, readlinkSync).startsWith(dataDir) ||
        of(`/proc/${pid}/environ`, (path) => readFileSync(path, "utf8")).includes(dataDir)),
  );
}

/** Kills all of PostgreSQL, so that data only in its memory is lost. */
function killPostgres(dataDir: string): void {
  const all = processesOf(dataDir).filter((pid) =>
    readlinkSync(`/proc/${pid}/exe`).endsWith("/postgres"),
  );
  if (all.length < 2) throw new Error("PostgreSQL is not running");
  for (const pid of all) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has exited meanwhile.
    }
  }
}

const noneIsLeft = (dataDir: string) =>
  until(
    () => `none of its processes is left: ${processesOf(dataDir)}`,
    () => processesOf(dataDir).length === 0,
    10_000,
  );

test("prints the next steps, stops, and keeps its data", async () => {
  const port = await freePort();
  const first = await startServer({ dataDir: folder.path, port });
  for (const hint of ["/console/start#", "/swagger-ui", folder.path, "Ctrl-C"]) {
    expect(first.output()).toContain(hint);
  }
  const { token } = await newTenantWithUser(clientOf(first.url), {
    key: "kept",
    isolation: "database",
  });
  await clientOf(first.url)("POST", "/api/v1/contacts", { token, body: { name: "Ada" } });
  await first.stop("SIGTERM");
  await noneIsLeft(folder.path);

  const second = await startServer({ dataDir: folder.path, port });
  const list = await clientOf(second.url)("GET", "/api/v1/contacts", { token });
  expect(list.body.items.map((item: { name: string }) => item.name)).toEqual(["Ada"]);
  await second.stop("SIGINT");
  await noneIsLeft(folder.path);
});

test("every acknowledged write survives kill -9, which leaves no process behind", async () => {
  const acknowledged: string[] = [];
  let token = "";
  // Tokens name their issuer, which is the server at this port.
  const port = await freePort();
  for (let round = 0; round < 3; round += 1) {
    const server = await startServer({ dataDir: folder.path, port });
    const client = clientOf(server.url);
    if (round === 0)
      token = (await newTenantWithUser(client, { key: "crashed", isolation: "pool" })).token;
    let killed = false;
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let number = 0; !killed; number += 1) {
        const name = `${round}-${writer}-${number}`;
        const reply = await client("POST", "/api/v1/contacts", { token, body: { name } }).catch(
          () => undefined,
        );
        if (reply?.status === 201) acknowledged.push(name);
      }
    });
    const before = acknowledged.length;
    await until("twenty writes are acknowledged", () => acknowledged.length >= before + 20);
    // First everything is killed, then only the server: then PostgreSQL notices, and stops by
    // itself.
    if (round % 2 === 0) killPostgres(folder.path);
    await server.stop("SIGKILL");
    killed = true;
    await Promise.all(writers);
    await noneIsLeft(folder.path);
  }

  const server = await startServer({ dataDir: folder.path, port });
  const found = new Set<string>();
  for (let cursor = ""; ; ) {
    const page = await clientOf(server.url)("GET", `/api/v1/contacts?limit=200${cursor}`, {
      token,
    });
    for (const { name } of page.body.items) found.add(name);
    if (page.body.next_cursor === null) break;
    cursor = `&cursor=${page.body.next_cursor}`;
  }
  await server.stop();
  expect(acknowledged.length).toBeGreaterThan(50);
  expect(acknowledged.filter((name) => !found.has(name))).toEqual([]);
});

test("a taken port is reported, with a remedy", async () => {
  const port = await freePort();
  const blocker = createServer().listen(port, "localhost");
  await new Promise((resolve) => blocker.once("listening", resolve));
  const started = startServer({ dataDir: folder.path, port });
  await expect(started).rejects.toThrow(new RegExp(`${port}[\\s\\S]*PORT=`));
  blocker.close();
});

test("a missing locale is no problem", async () => {
  const server = await startServer({
    dataDir: folder.path,
    env: { LANG: "xx_XX.UTF-8", LC_ALL: "xx_XX.UTF-8" },
  });
  await server.stop();
});
