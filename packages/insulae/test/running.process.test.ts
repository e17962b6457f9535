/** A program of one's own, as people start it: what it prints, in which order, and how it ends. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, describe, expect, test, vi } from "vitest";
import { freePort } from "../src/testing/free-port.ts";
import { createTestDatabase } from "../src/testing/index.ts";
import { testMasterSecret } from "../src/testing/test-secret.ts";
import { until } from "../src/testing/until.ts";

const folder = mkdtempSync(join(tmpdir(), "insulae-running-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const program = join(folder, "main.mjs");
writeFileSync(
  program,
  `import { createApp } from ${JSON.stringify(import.meta.resolve("../src/index.ts"))};
   const app = await createApp({ name: "Notes", features: [] });
   await app.run();`,
);

function start(settings: Readonly<Record<string, string>>, args: readonly string[] = [program]) {
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", PORT: "0", APP_WS_PORT: "0", ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (chunk) => {
      output[name] += chunk;
    });
  }
  const ended = once(child, "close").then(([code]) => ({ code, ...output }));
  return {
    until: (text: string) =>
      until(
        () => `it says ${text}: ${JSON.stringify(output)}`,
        async () => {
          if (`${output.stdout}${output.stderr}`.includes(text)) return true;
          if (child.exitCode !== null) throw new Error(JSON.stringify(await ended));
        },
        60_000,
      ),
    stop(signal: NodeJS.Signals) {
      child.kill(signal);
      return ended;
    },
  };
}

/** The lines of people's output that are none of the log, which begin with the time. */
const steps = (text: string) =>
  text
    .trim()
    .split("\n")
    .filter((line) => !/^\d\d:/.test(line));

describe("in development", () => {
  const settings = { DATA_DIR: join(folder, "data") };

  test("says what it does, then where everything is, and ends in good order on Ctrl-C", async () => {
    const first = start(settings);
    await first.until("Stop with Ctrl-C.");
    const { code, stdout, stderr } = await first.stop("SIGINT");
    expect(steps(stderr)).toEqual([
      "Starting …",
      expect.stringMatching(/^Setting up PostgreSQL in .*: the first start takes a few seconds …$/),
      "Starting the embedded PostgreSQL …",
      expect.stringMatching(/^Migrating the schema app \(migrations: \d+\) …$/),
      expect.stringMatching(/^Migrating the schema control/),
      expect.stringMatching(/^Migrating the schema data/),
      "Stopping …",
    ]);
    expect(stdout).toMatch(/Notes {2}ready in/);
    expect(stdout).toMatch(/http:\/\/localhost:[1-9]\d*\/swagger-ui/);
    expect(stdout).toMatch(/Admin +admin@localhost\.test {2}password \S+ {2}\(shown this once\)/);
    // Not killed by the signal.
    expect(code).not.toBeNull();

    const second = start(settings);
    await second.until("Stop with Ctrl-C.");
    const again = await second.stop("SIGTERM");
    expect(steps(again.stderr)).toEqual([
      "Starting …",
      "Starting the embedded PostgreSQL …",
      "Stopping …",
    ]);
    expect(again.stdout).toContain("admin@localhost.test\n");
    expect(again.code).not.toBeNull();
  });

  test("prints nothing where LOG_LEVEL is silent", async () => {
    const port = await freePort();
    const silent = start({ ...settings, PORT: String(port), LOG_LEVEL: "silent" });
    await vi.waitFor(() => fetch(`http://localhost:${port}/health`), { timeout: 30_000 });
    const { stdout, stderr } = await silent.stop("SIGTERM");
    expect([stdout, stderr]).toEqual(["", ""]);
  });
});

test("in production all of it is lines of the log, and nobody is made up", async () => {
  const database = await createTestDatabase();
  try {
    const server = start({
      APP_ENV: "production",
      DATABASE_URL: database.url,
      MASTER_SECRET: testMasterSecret,
      PUBLIC_URL: "http://localhost",
      BASE_DOMAIN: "localhost",
      MAIL: "capture",
      HOST: "localhost",
      MIGRATE_ON_START: "true",
      DRAIN_SECONDS: "0",
      LOG_LEVEL: "info",
    });
    await server.until("Insulae listens");
    const { code, stdout, stderr } = await server.stop("SIGTERM");
    const lines = stdout.trim().split("\n");
    const messages = lines.map((line) => JSON.parse(line).msg);
    expect(messages.slice(0, 2)).toEqual([
      "Starting …",
      expect.stringMatching(/^Migrating the schema app/),
    ]);
    expect(messages).toContain("Stopping …");
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query("select email from control.accounts");
    await client.end();
    expect(rows).toEqual([]);
    expect([code, stderr]).toEqual([0, ""]);
  } finally {
    await database.drop();
  }
});

test("insulae start says that it starts before it loads anything that takes long", async () => {
  const tells = `import { registerHooks } from "node:module";
    registerHooks({ resolve(specifier, context, next) {
      if (specifier === "fastify" || specifier === "commander") console.error("imports " + specifier);
      return next(specifier, context);
    } });`;
  const server = start({ DATA_DIR: join(folder, "data") }, [
    ...["--import", `data:text/javascript,${encodeURIComponent(tells)}`],
    ...[fileURLToPath(new URL("../src/cli/main.ts", import.meta.url)), "start"],
  ]);
  await server.until("Stop with Ctrl-C.");
  const { stderr } = await server.stop("SIGTERM");
  // Several modules import commander.
  expect([...new Set(steps(stderr))].slice(0, 5)).toEqual([
    "Loading …",
    "imports commander",
    "imports fastify",
    "Starting …",
    "Starting the embedded PostgreSQL …",
  ]);
});
