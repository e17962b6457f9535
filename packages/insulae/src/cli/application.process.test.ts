/** An application as the CLI finds, migrates, serves and reloads it. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { freePort } from "../testing/free-port.ts";
import { until } from "../testing/until.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "insulae-application-"));
const project = join(root, "project");
const elsewhere = join(root, "elsewhere");
const dataDir = join(root, "data");

const configuration = (features: string) => `
  import { defineApp, standardFeatures } from "insulae";
  import { notes } from "./notes.feature.ts";
  export default defineApp({ name: "Notes", features: ${features} });`;
const feature = (answer: string) => `
  import { feature, Type } from "insulae";
  export const notes = feature("notes", {
    migrations: new URL("./migrations/", import.meta.url),
    tables: ["notes"],
    routes: (r) => [
      r.get("/greeting", { permission: "public", context: "core", summary: "Greets", response: Type.String() }, () => ${answer}),
    ],
  });`;
const migration =
  `create table notes (id uuid primary key default app.uuid_v7(), text text not null);
  select app.tenant_table('notes');
  -- down
  drop table notes;`.replaceAll(/^ +/gm, "");

const write = (name: string, text: string) => writeFileSync(join(project, name), text);

function launch(cwd: string, args: readonly string[], settings: Record<string, string> = {}) {
  const child = spawn(process.execPath, [main, ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? "", DATA_DIR: dataDir, APP_WS_PORT: "0", ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  const ended = once(child, "close").then(([code]) => ({ code, stdout, stderr }));
  return { child, ended, stderr: () => stderr };
}

const insulae = (cwd: string, args: string, settings?: Record<string, string>) =>
  launch(cwd, args.split(" "), settings).ended;

beforeAll(async () => {
  mkdirSync(join(project, "migrations"), { recursive: true });
  mkdirSync(join(project, "node_modules"));
  mkdirSync(elsewhere);
  symlinkSync(
    fileURLToPath(new URL("../..", import.meta.url)),
    join(project, "node_modules/insulae"),
  );
  write("package.json", '{ "type": "module" }');
  write("insulae.config.ts", configuration("[...standardFeatures, notes]"));
  write("notes.feature.ts", feature('"hello"'));
  write("migrations/0001_notes.sql", migration);
  const { code, stderr } = await insulae(project, "migrate up");
  expect(code, stderr).toBe(0);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("an application's databases", () => {
  test("have the tables of its features, wherever its tenants are placed", async () => {
    const made = await insulae(project, "tenant create acme --isolation schema --json");
    expect(made.code, made.stderr).toBe(0);
    const status = JSON.parse((await insulae(project, "migrate status --json")).stdout);
    expect(status.placements).toHaveLength(2);
    for (const placement of status.placements) {
      expect(placement).toMatchObject({ version: status.version, pending: [], unknown: [] });
    }
  });

  test("are changed by no command that lacks one of their features", async () => {
    for (const command of [
      ...["tenant create globex", "tenant suspend acme", "migrate up", "keys rotate"],
      ...["migrate down --feature contacts --all --yes", "start --port 0"],
    ]) {
      const refused = await insulae(elsewhere, command);
      expect(refused, command).toMatchObject({ code: 5, stdout: "" });
      expect(refused.stderr).toContain('features that this application lacks: "notes"');
    }
    // Reading is no change.
    const listed = JSON.parse((await insulae(elsewhere, "tenant list --json")).stdout);
    expect(listed.items.map(({ key }: { key: string }) => key)).toEqual(["acme"]);
    const { placements, version } = JSON.parse(
      (await insulae(project, "migrate status --json")).stdout,
    );
    expect(new Set(placements.map((one: { version: number }) => one.version))).toEqual(
      new Set([version]),
    );
  });

  test("stay as they are once the application lists the feature as retired", async () => {
    const text = configuration("standardFeatures, retired: ['notes']");
    write("retired.config.ts", text);
    const suspended = await insulae(project, "tenant suspend acme --app retired.config.ts");
    expect(suspended.code, suspended.stderr).toBe(0);
    write("both.config.ts", configuration("[...standardFeatures, notes], retired: ['notes']"));
    const both = await insulae(project, "tenant resume acme --app both.config.ts");
    expect(both.stderr).toContain("the feature notes is loaded: remove it from `retired`");
    expect((await insulae(project, "tenant resume acme")).code).toBe(0);
  });

  test("are reverted for the application's own features, unless another is named", async () => {
    const unnamed = await insulae(elsewhere, "migrate down --all --yes", {
      DATA_DIR: join(root, "stock"),
    });
    expect(unnamed.code).not.toBe(0);
    const asked = await insulae(project, "migrate down --all --steps 3");
    expect(asked).toMatchObject({ code: 4 });
    expect(asked.stderr).toContain("notes/0001_notes in 2 placements");
    const [, ...others] = asked.stderr.match(/\S+\/\d{4}_\w+/g) ?? [];
    expect(others).toEqual([]);

    const done = await insulae(project, "migrate down --all --steps 3 --yes --json");
    const { placements } = JSON.parse(done.stdout);
    expect(placements.map(({ reverted }: { reverted: string[] }) => reverted)).toEqual([
      ["notes/0001_notes"],
      ["notes/0001_notes"],
    ]);
    expect((await insulae(project, "migrate up")).code).toBe(0);
  });
});

test.each([
  ["has no default export", "export const app = 1;", "has no application as its default export"],
  ["can't be parsed", "export default {", "broken.config.ts"],
  ["throws", 'throw new Error("too early");', "too early"],
  ["lacks a module", 'import "./absent.ts";', "absent.ts"],
  ["has a slip in another file", 'import "./slip.ts";', "slip.ts:2"],
  ["has a slip in the TypeScript of another file", 'import "./slip-type.ts";', "slip-type.ts:3"],
  ["has an enum in another file", 'import "./enum.ts";', "enum Colour { Red }"],
  ["imports what another file lacks", 'import "./lacking.ts";', "lacking.ts:2"],
  ["has broken JSON", 'import "./broken.json" with { type: "json" };', "broken.json"],
  ["never settles", "await new Promise(() => {});", "never settles"],
  ["ends the process", "process.exit(0);", "process.exit"],
  ["has features that are none", 'export default { features: "no" };', "features"],
])("an application that %s is reported, with its file", async (_what, text, expected) => {
  write("slip.ts", "const a = 1;\nconst a = 2;\n");
  write("slip-type.ts", "export const a = 1;\n\nconst = 3;\n");
  write("enum.ts", "export const a = 1;\nenum Colour { Red }\n");
  write("lacking.ts", 'export const a = 1;\nimport { nothing } from "./slip-free.ts";\n');
  write("slip-free.ts", "export const fine = 1;\n");
  write("broken.json", '{ "a": 1,, }');
  write("broken.config.ts", text);
  const refused = await insulae(project, "migrate status --app broken.config.ts");
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toContain("broken.config.ts");
  expect(refused.stderr).toContain(expected);
  expect(refused.stderr).not.toContain("node:internal");
});

test.each(["await new Promise(() => {});", "process.exit(0);"])(
  "an installed command that loads `%s` has done nothing, and fails",
  async (text) => {
    write("ending.config.ts", text);
    const bin = fileURLToPath(new URL("./bin.ts", import.meta.url));
    const args = ["migrate", "up", "--json", "--app", "ending.config.ts"];
    const { status, stdout } = spawnSync(process.execPath, [bin, ...args], {
      cwd: project,
      encoding: "utf8",
    });
    expect([status, JSON.parse(stdout).error.code]).toEqual([1, "application_not_loaded"]);
  },
);

test("in a subfolder, the stock server is not used by mistake", async () => {
  const refused = await insulae(join(project, "migrations"), "migrate status");
  expect(refused).toMatchObject({ code: 2, stdout: "" });
  expect(refused.stderr).toContain(join("project", "insulae.config.ts"));
});

test("a missing application file is reported", async () => {
  const refused = await insulae(project, "tenant list --app absent.config.ts");
  expect(refused.stderr).toContain("there is no file");
});

test("reading commands create no installation", async () => {
  const empty = join(root, "empty");
  for (const command of ["tenant list", "migrate status", "jobs list", "keys list"]) {
    const refused = await insulae(elsewhere, command, { DATA_DIR: empty });
    expect(refused.stderr, command).toContain("There is nothing in");
  }
});

test("a development server restarts when a file changes, and waits while the code is broken", async () => {
  const port = await freePort();
  const { child, ended, stderr } = launch(project, ["dev", "--port", String(port)]);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const answers = (expected: string) =>
    until(
      () => `it answers ${expected}:\n${stderr()}`,
      async () => {
        if (child.exitCode !== null) throw new Error(`It has ended:\n${stderr()}`);
        const answer = await fetch(`http://localhost:${port}/api/v1/greeting`)
          .then((reply) => reply.text())
          .catch(() => undefined);
        return answer?.includes(expected);
      },
      60_000,
    );
  await answers("hello");
  write("notes.feature.ts", feature('"good day"'));
  await answers("good day");
  // As editors do: the old file is removed, or a new one replaces it. Then it is written again.
  renameSync(join(project, "notes.feature.ts"), join(project, "notes.feature.ts~"));
  write("notes.feature.ts", feature('"good evening"'));
  await answers("good evening");
  write("new.tmp", feature('"good night"'));
  renameSync(join(project, "new.tmp"), join(project, "notes.feature.ts"));
  await answers("good night");
  write("notes.feature.ts", feature('"good morning"'));
  await answers("good morning");
  write("notes.feature.ts", "export const notes = ;");
  await until("it says that it waits for a change", () =>
    stderr().includes("It will start again when a file changes"),
  );
  write("notes.feature.ts", feature('"hello again"'));
  await answers("hello again");
  child.kill("SIGTERM");
  expect((await ended).code).toBe(0);
  await expect(fetch(`http://localhost:${port}/`)).rejects.toThrow();
}, 120_000);
