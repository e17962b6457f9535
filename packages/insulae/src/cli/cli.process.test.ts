/**
 * The CLI as people and scripts use it: a process, its streams and its exit code.
 *
 * Long because one server serves it all: starting another takes seconds.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { startEmbedded } from "../embedded-postgres/supervisor.ts";
import { freePort } from "../testing/free-port.ts";
import { until } from "../testing/until.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "insulae-cli-"));
const dataDir = join(folder, "data");

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Isolated from the environment of the test run. */
const environment = (settings: Readonly<Record<string, string>>) => ({
  PATH: process.env.PATH ?? "",
  DATA_DIR: dataDir,
  PORT: String(port),
  APP_WS_PORT: "0",
  ...settings,
});

function launch(
  args: readonly string[],
  settings: Readonly<Record<string, string>> = {},
  program: readonly [string, ...string[]] = [process.execPath, main],
) {
  const [command, ...first] = program;
  const child = spawn(command, [...first, ...args], {
    cwd: folder,
    env: environment(settings),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { child, ended, stdout: () => stdout };
}

/** Production's required settings, with the running server's PostgreSQL. */
const productionSettings = async () => {
  const { url, stop } = await startEmbedded({ dataDir });
  await stop(); // it belongs to another process, and continues
  return {
    APP_ENV: "production",
    DATABASE_URL: url,
    MASTER_SECRET: readFileSync(join(dataDir, "secret"), "utf8").trim(),
    PUBLIC_URL: "http://localhost",
    BASE_DOMAIN: "localhost",
    MAIL: "capture",
    HOST: "localhost",
  };
};

const insulae = (args: string, settings?: Readonly<Record<string, string>>): Promise<Ended> =>
  launch(args.split(" "), settings).ended;

/** The one document on stdout; throws if there is more. */
const documentOf = ({ stdout }: Ended) => JSON.parse(stdout);

let port = 0;
let server: ReturnType<typeof launch>;
let started: Record<string, unknown>;

const untilDocument = ({ child, ended, stdout }: ReturnType<typeof launch>) =>
  until(
    () => `its document is whole: ${stdout()}`,
    async () => {
      if (child.exitCode !== null) throw new Error((await ended).stderr);
      try {
        return JSON.parse(stdout());
      } catch {
        return undefined;
      }
    },
    60_000,
  );

beforeAll(async () => {
  port = await freePort();
  server = launch(["start", "--json"]);
  started = await untilDocument(server);
});

afterAll(async () => {
  kill(server?.child.pid);
  kill(Number(started?.pid)); // the same, unless there is a shell in between
  await server?.ended;
  rmSync(folder, { recursive: true, force: true });
});

function kill(pid: number | undefined): void {
  try {
    if (pid) process.kill(pid, "SIGKILL");
  } catch {
    // It has exited.
  }
}

test.skipIf(process.platform !== "linux")("output that can't be written is a failure", async () => {
  const intoFull = ["sh", "-c", 'exec "$0" "$@" >/dev/full', process.execPath, main] as const;
  for (const args of [["--version"], ["--json", "tenant", "create"]]) {
    const { code, stderr } = await launch(args, {}, intoFull).ended;
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^error: .*can't be written.*ENOSPC/),
    ]);
  }
});

describe("insulae start", () => {
  test("prints its URL, the data folder, and the new administrator's password", async () => {
    const { url, data, admin } = started;
    expect({ url, data }).toEqual({ url: `http://localhost:${port}`, data: dataDir });
    expect(admin).toEqual({ email: "admin@localhost.test", password: expect.any(String) });
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  test("names the process that uses the port, with a remedy", async () => {
    const { code, stderr } = await insulae("start");
    expect(code).toBe(1);
    expect(stderr).toContain(`Port ${port} is taken by`);
    expect(stderr).toContain(`(pid ${server.child.pid})`);
    expect(stderr).toContain(`PORT=${port + 1}`);
  });

  test.each(["APP_WS_PORT", "TLS_PORT"])("names %s if that port is taken", async (name) => {
    const blocker = createServer().listen(0, "localhost");
    onTestFinished(() => void blocker.close());
    await once(blocker, "listening");
    const address = blocker.address();
    const taken = typeof address === "object" && address ? address.port : 0;
    const { code, stderr } = await insulae("start", {
      DATA_DIR: join(folder, "other"),
      PORT: String(await freePort()),
      [name]: String(taken),
      // In development the log stream can do without its own port.
      ...(name === "APP_WS_PORT" && (await productionSettings())),
    });
    expect(stderr).toContain(`Port ${taken} is taken`);
    expect(stderr).toContain(`${name}=${taken + 1}`);
    expect(code).toBe(1);
  });

  test("an unknown host is not blamed on the database", async () => {
    const { stderr } = await insulae("start", {
      DATA_DIR: join(folder, "other"),
      HOST: "192.0.2.1",
    });
    expect(stderr).toMatch(/can't listen at 192\.0\.2\.1.*Set HOST/);
  });

  test.each([
    ["LOG_FILE", { LOG_FILE: join(main, "log") }],
    ["TLS_CERT_FILE", { TLS_PORT: "0", TLS_CERT_FILE: "missing.pem", TLS_KEY_FILE: "missing.pem" }],
  ])("a file of %s that can't be used is reported with its setting", async (name, settings) => {
    const { code, stderr } = await insulae("start", {
      ...settings,
      DATA_DIR: join(folder, "other"),
      PORT: "0",
    });
    expect(stderr).toContain(name);
    expect(stderr).not.toContain("Set DATA_DIR");
    expect(code).toBe(1);
  });

  test("reports all problems of the configuration, without a stack trace", async () => {
    const { code, stderr } = await insulae("start", { APP_ENV: "production" });
    expect(code).toBe(1);
    expect(stderr).toMatch(/DATABASE_URL is required[\s\S]*MASTER_SECRET is required/);
    expect(stderr).not.toMatch(/\n +at /);
  });
});

describe("a reader that closes the output early", () => {
  test("is no failure", async () => {
    const command = `"${process.execPath}" "${main}" tenant list --json | head -c 1; echo "$?" "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await launch(["-c", command], {}, ["/bin/bash"]).ended;
    expect([stdout, stderr]).toEqual(["{0 0\n", ""]);
  });
});

describe("insulae tenant", () => {
  test("opens a tenant for registration, and closes it", async () => {
    const made = await insulae("tenant create opened --registration open --json");
    expect(documentOf(made).settings).toEqual({ registration: "open" });
    const changed = await insulae(
      "tenant update opened --registration closed --name Closed --json",
    );
    expect(documentOf(changed)).toMatchObject({
      name: "Closed",
      settings: { registration: "closed" },
    });
    expect((await insulae("tenant update opened")).code).toBe(2);
    expect((await insulae("tenant delete opened --yes")).code).toBe(0);
  });

  test("creates tenants of each isolation, shows, suspends, and deletes them", async () => {
    const made = await Promise.all([
      insulae("tenant create acme --json"),
      insulae("tenant create bank --isolation database --host bank.example --json"),
    ]);
    expect(made.map(documentOf)).toMatchObject([
      { key: "acme", isolation: "pool", status: "active", placement: { schema: "data" } },
      { key: "bank", isolation: "database", hosts: ["bank.example"] },
    ]);
    const shown = await insulae("tenant suspend acme --json");
    expect(documentOf(shown)).toMatchObject({ key: "acme", status: "suspended" });

    const [asked, list] = await Promise.all([
      insulae("tenant delete acme"),
      insulae("tenant list --json"),
    ]);
    expect(asked).toMatchObject({ code: 4, stdout: "" });
    expect(
      documentOf(list)
        .items.map((item: { key: string }) => item.key)
        .sort(),
    ).toEqual(["acme", "bank"]);
    const shared = await insulae("migrate down --tenant acme --feature contacts --yes --json");
    expect([shared.code, documentOf(shared).error.code]).toEqual([5, "placement_shared"]);
    expect((await insulae("tenant delete acme --yes")).code).toBe(0);
    expect(documentOf(await insulae("tenant show acme --json"))).toEqual({
      error: { code: "tenant_not_found", message: expect.any(String) },
    });
  });
});

/** As the database's owner. */
async function inDatabase(text: string, values: readonly string[] = []): Promise<unknown[]> {
  const { url, stop } = await startEmbedded({ dataDir });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query({ text, values: [...values], rowMode: "array" })).rows;
  } finally {
    await client.end();
    await stop();
  }
}

/** The commands' entries in the platform's audit log. */
const commandsInLog = (like = "signing_key%") =>
  inDatabase(
    `select action, outcome, target_id from control.audit_log
     where action like $1 and actor_kind = 'system' and actor_name like 'cli: %' order by at`,
    [like],
  );

describe("insulae keys", () => {
  const published = async () => {
    const reply = await fetch(`${started.url}/.well-known/jwks.json`);
    const { keys } = (await reply.json()) as { keys: { kid: string }[] };
    return keys.map(({ kid }) => kid);
  };

  test("rotates and retires the keys of a running server", async () => {
    const [first] = await published();
    const rotated = documentOf(await insulae("keys rotate --now --json"));
    expect(rotated.items).toMatchObject([
      { id: rotated.made, state: "signing", retired_at: null },
      { id: first, state: "verifying" },
    ]);
    await expect.poll(published).toEqual([rotated.made, first]);
    const retired = await insulae(`keys retire ${first} --json`);
    expect(documentOf(retired).items[1]).toMatchObject({ id: first, state: "retired" });
    await expect.poll(published).toEqual([rotated.made]);
    const { code, stderr } = await insulae(`keys retire ${rotated.made}`);
    expect([code, stderr]).toEqual([1, expect.stringContaining("Rotate first")]);
    expect(await commandsInLog()).toEqual([
      ["signing_keys.rotated", "succeeded", rotated.made],
      ["signing_key.retired", "succeeded", first],
    ]);
    expect((await insulae("keys list")).stdout).toMatch(/ID +STATE +SIGNS FROM +RETIRED/);
  });

  test("reports that a secret signs", async () => {
    const settings = { JWT_SECRET: "0123456789abcdef0123456789abcdef" };
    expect(await insulae("keys rotate", settings)).toMatchObject({ code: 5, stdout: "" });
  });
});

describe("insulae audit verify", () => {
  test("exits with 0 if all logs are intact", async () => {
    const ended = await insulae("audit verify --json");
    expect([ended.code, ended.stderr]).toEqual([0, ""]);
    const { whole, logs } = documentOf(ended);
    expect(whole).toBe(true);
    expect(logs[0]).toMatchObject({
      tenant: null,
      head: { hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    expect(logs.map(({ tenant }: { tenant: { key: string } | null }) => tenant?.key)).toContain(
      "bank",
    );
  });

  test("continues after a tenant, with older ones", async () => {
    expect((await insulae("tenant create later")).code).toBe(0);
    const { logs } = documentOf(await insulae("audit verify --json"));
    const keys = logs.map(({ tenant }: { tenant: { key: string } | null }) => tenant?.key);
    expect(keys.length).toBeGreaterThan(2);
    const rest = documentOf(await insulae(`audit verify --after ${keys[1]} --json`));
    expect(rest.logs).toEqual(logs.slice(2));
    expect((await insulae("tenant delete later --yes")).code).toBe(0);
  });

  test("exits with 1 and reports the entry if one was tampered with", async () => {
    const change = (from: string, to: string) =>
      inDatabase(
        "update control.audit_log set actor_kind = $2 where seq = 2 and actor_kind = $1 returning 1",
        [from, to],
      );
    const [[kind]] = (await inDatabase(
      "select actor_kind from control.audit_log where seq = 2",
    )) as string[][] as [[string]]; // the server has written more than two by now
    expect(await change(kind, "anonymous")).toEqual([[1]]);
    const ended = await insulae("audit verify --platform --json");
    expect(ended.code).toBe(1);
    expect(documentOf(ended)).toMatchObject({
      whole: false,
      logs: [{ tenant: null, problem: { seq: 2, problem: "was changed" } }],
    });
    const { code, stdout } = await insulae("audit verify");
    expect([code, stdout]).toEqual([1, expect.stringContaining("entry 2 was changed")]);
    await change("anonymous", kind);
    expect((await insulae("audit verify --platform")).code).toBe(0);
  });
});

describe("exit codes and errors", () => {
  test.each([
    ["tenant create --json", 2, "usage"],
    ["tenant show nobody --json", 1, "tenant_not_found"],
    ["migrate down --all --json", 2, "usage"],
    ["migrate down --all --feature contacts --json", 4, "input_needed"],
    ["migrate down --all --feature nothing --json", 2, "feature_not_found"],
  ])("%s exits with %d, and says %s", async (args, code, expected) => {
    const ended = await insulae(args);
    expect(ended.code).toBe(code);
    expect(documentOf(ended).error.code).toBe(expected);
  });

  test("in production, --yes does not suffice to lose rows", async () => {
    const ended = await insulae("migrate down --all --yes --json", {
      APP_ENV: "production",
      DATABASE_URL: "postgres://a:b@localhost:1/c",
      MASTER_SECRET: "0123456789abcdef0123456789abcdef",
      PUBLIC_URL: "https://api.example.com",
      BASE_DOMAIN: "example.com",
      MAIL: "capture",
    });
    expect([ended.code, documentOf(ended).error.code]).toEqual([5, "production_guard"]);
  });

  test("an unreachable database is a temporary failure", async () => {
    const ended = await insulae("tenant list --json", {
      DATABASE_URL: "postgres://a:b@localhost:1/c",
    });
    expect(ended.code).toBe(3);
    expect(documentOf(ended).error.code).toBe("database_unreachable");
  });
});

test("commands that start concurrently on data without a running server all succeed", async () => {
  const DATA_DIR = join(folder, "at-once");
  const ended = await Promise.all([1, 2, 3].map(() => insulae("migrate up --json", { DATA_DIR })));
  expect(ended.map(({ code, stderr }) => (code === 0 ? code : stderr))).toEqual([0, 0, 0]);
  expect(existsSync(join(DATA_DIR, "postgres", "data", "postmaster.pid"))).toBe(false);
});

describe("insulae doctor", () => {
  const statesOf = (ended: Ended): Record<string, string> =>
    Object.fromEntries(
      documentOf(ended).checks.map((check: { name: string; state: string }) => [
        check.name,
        check.state,
      ]),
    );

  test("finds nothing wrong in a sound installation", async () => {
    const ended = await insulae("doctor --json");
    expect(Object.values(statesOf(ended)).every((state) => state === "ok")).toBe(true);
    expect(ended.code).toBe(0);
  });

  test("finds a table that is not isolated, and an outdated placement", async () => {
    const { url, stop } = await startEmbedded({ dataDir });
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query("alter table data.contacts disable row level security");
      const ended = await insulae("doctor --json");
      expect(ended.code).toBe(1);
      expect(statesOf(ended).isolation).toBe("failure");
      expect(ended.stdout).toContain("data.contacts has Row-Level Security switched off");
    } finally {
      await client.query("alter table data.contacts enable row level security");
      await client.end();
      await stop();
    }
    const down = await insulae("migrate down --tenant bank --feature contacts --yes --json");
    expect(documentOf(down).placements[0].reverted).toEqual([
      expect.stringMatching(/^contacts\/\d{4}_/),
    ]);
    expect(statesOf(await insulae("doctor --json")).migrations).toBe("warning");
    expect(documentOf(await insulae("migrate up --json"))).toMatchObject({
      migrated: 1,
      failed: [],
    });
    expect(await commandsInLog("migrations.%")).toEqual([
      ["migrations.reverted", "succeeded", null],
      ["migrations.applied", "succeeded", null],
    ]);
    await insulae("migrate down --all --feature contacts --yes");
    const { placements, migrated } = documentOf(await insulae("migrate up --json"));
    expect(migrated, "with the pool").toBe(placements);
  });

  test("reports a broken configuration and an unreachable database, and creates nothing", async () => {
    const unused = join(folder, "unused");
    const [broken, down, fresh] = await Promise.all([
      insulae("doctor --json", { PORT: "x" }),
      insulae("doctor --json", { DATABASE_URL: "postgres://a:b@localhost:1/c" }),
      insulae("doctor --json", { DATA_DIR: unused }),
    ]);
    expect(statesOf(broken).configuration).toBe("failure");
    expect(statesOf(down).database).toBe("failure");
    expect([broken.code, down.code, fresh.code]).toEqual([1, 1, 0]);
    expect(existsSync(unused)).toBe(false);
  });
});

describe("stopping", () => {
  test("SIGTERM exits with code 0, and stops PostgreSQL", async () => {
    server.child.kill("SIGTERM");
    expect((await server.ended).code).toBe(0);
    expect(existsSync(join(dataDir, "postgres", "data", "postmaster.pid"))).toBe(false);
  });

  test("the next start keeps the administrator, and prints no password", async () => {
    server = launch(["start", "--json"]);
    started = await untilDocument(server);
    expect(started.admin).toEqual({ email: "admin@localhost.test", password: null });
    server.child.kill("SIGINT");
    expect((await server.ended).code).toBe(0);
  });

  test("it exits with npm's shell, which forwards no signal", async () => {
    const command = `"${process.execPath}" "${main}" start --json; true`;
    const npm = { npm_lifecycle_event: "start" };
    server = launch(["-c", command], npm, ["/bin/sh"]);
    started = await untilDocument(server);
    server.child.kill("SIGTERM");
    await vi.waitFor(() => expect(() => process.kill(Number(started.pid), 0)).toThrow("ESRCH"), {
      timeout: 30_000,
    });
    expect(existsSync(join(dataDir, "postgres", "data", "postmaster.pid"))).toBe(false);
  });
});
