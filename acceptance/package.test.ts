/**
 * The published packages as users get them: from the tarballs, in a folder outside this repository,
 * by npm alone. A project is created, tested, changed, built into an image and run in production.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestDatabase, type TestDatabase } from "insulae/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tsc } from "../scripts/tools.ts";
import { clientOf } from "./client.ts";
import { buildImage, type Image } from "./dockerfile.ts";
import { buildPackages, cleanEnvironment, runIn, startProject } from "./project.ts";
import { freePort } from "./server.ts";

const root = join(import.meta.dirname, "..");
let tarballs: ReturnType<typeof buildPackages>;
/** The parent of the project's folder. */
let place: string;
let project: string;
let run: ReturnType<typeof runIn>;

beforeAll(() => {
  tarballs = buildPackages();
  place = mkdtempSync(join(tmpdir(), "insulae-package-"));
  chmodSync(place, 0o755); // in production, another user runs it
  project = join(place, "acme-notes");
  run = runIn(project);
}, 180_000);
afterAll(() => rmSync(place, { recursive: true, force: true }), 180_000);

const read = (file: string): string => readFileSync(join(project, file), "utf8");
const edit = (file: string, from: string, to: string): void => {
  expect(read(file)).toContain(from);
  writeFileSync(join(project, file), read(file).replace(from, to));
};

/** As `npm create insulae` does once it is in the registry. */
const create = (folder: string): string =>
  runIn(place)(
    ...["npm", "exec", "--yes", "--package", tarballs.createInsulae, "--"],
    ...["create-insulae", folder, "--insulae", tarballs.insulae],
  );

describe("a new project", () => {
  test("is created in an empty folder only, and prints the next steps", () => {
    expect(create("acme-notes")).toMatch(/cd acme-notes && npm install\n {2}npm test\n$/);
    expect(JSON.parse(read("package.json"))).toMatchObject({ name: "acme-notes" });
    for (const file of globSync("**/{*,.*}", { cwd: project, withFileTypes: true })) {
      if (!file.isFile() || file.name.endsWith(".tgz")) continue;
      expect(readFileSync(join(file.parentPath, file.name), "utf8")).not.toContain("my-app");
    }
    expect(() => create("acme-notes")).toThrow("acme-notes is not empty");
    expect(() => create("Acme Notes")).toThrow(`"Acme Notes" can't be a project's name`);
  });

  test("is installed without telemetry and install scripts", () => {
    run("npm", "install");
    const { packages } = JSON.parse(read("package-lock.json"));
    const installed = Object.entries<{ hasInstallScript?: boolean; optional?: boolean }>(packages);
    const names = installed.map(([name]) => name);
    expect(names).toContain("node_modules/insulae");
    expect(names.filter((name) => /scarf|core-js|react|swagger-ui|redoc/.test(name))).toEqual([]);
    const scripts = installed
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([name]) => name.replace("node_modules/", ""));
    // PostgreSQL's binaries have one, which the project disables; Vite's fsevents is for macOS
    // only.
    const { allowScripts } = JSON.parse(read("package.json"));
    expect(scripts.filter((name) => allowScripts[name] !== false && name !== "fsevents")).toEqual(
      [],
    );
  });

  test("passes its tests", () => {
    expect(run("npm", "test")).toMatch(/Tests {2}\d+ passed/);
  }, 120_000);

  test.each(["typescript", "typescript-7"])(
    "has valid types for %s, including libraries'",
    (name) => {
      run(process.execPath, join(root, `scripts/node_modules/${name}/bin/tsc`), "-p", ".");
    },
    180_000,
  );

  test("responds as its README says, in development", async () => {
    const [, snippets = ""] = /^## Run it\n([\s\S]*?)^## /m.exec(read("README.md")) ?? [];
    const [dev = "", ...shell] = [...snippets.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(
      ([, code = ""]) => code,
    );
    const port = await freePort();
    const command = dev.trim().split(" ");
    const server = await startProject({ cwd: project, command, port });
    try {
      const home = await fetch(server.url, { headers: { accept: "text/html" } });
      expect(home.url).toBe(`${server.url}/console/`);
      expect(await home.text()).toContain('<base href="/console/"');
      const script = shell.join("").replaceAll("localhost:8000", `localhost:${port}`);
      const printed = run("bash", "-euc", script);
      expect(printed).toContain('"comments":[{"id":');
      for (const path of ["/swagger-ui", "/redoc"]) {
        const page = await (await fetch(server.url + path)).text();
        const parts = [...page.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, part]) => part);
        expect(parts.length).toBeGreaterThan(1);
        for (const part of parts) {
          expect([part, (await fetch(server.url + part)).status]).toEqual([part, 200]);
        }
      }
    } finally {
      await server.stop();
    }
  });
});

describe("its production", () => {
  const user = process.getuid?.() === 0 ? 1000 : undefined;
  let database: TestDatabase;
  let image: Image;
  let settings: Record<string, string>;

  beforeAll(async () => {
    database = await createTestDatabase();
    if (user === undefined) return;
    // The test server accepts only the user who started it, by a socket.
    const folder = decodeURIComponent(new URL(database.url).hostname);
    chmodSync(folder, 0o755);
    for (const name of globSync(".s.*[0-9]", { cwd: folder })) chmodSync(join(folder, name), 0o777);
  });
  afterAll(() => database?.drop());

  const inImage = (...args: string[]): string =>
    execFileSync(image.entrypoint[0] ?? "", args, {
      cwd: image.workdir,
      env: cleanEnvironment(settings),
      encoding: "utf8",
      stdio: "pipe",
      ...(user !== undefined && { uid: user, gid: user }),
    });

  test("gets another column, by another migration", () => {
    const made = run("npx", "insulae", "migrate", "new", "add_colour", "--feature", "notes");
    const file = "src/notes/migrations/0002_add_colour.sql";
    expect(made).toContain(file);
    writeFileSync(
      join(project, file),
      `alter table notes add column colour text not null default 'white';

-- down
alter table notes drop column colour;
`,
    );
    edit(
      "src/notes/notes.queries.ts",
      "    text: Generated<string>;\n",
      "    text: Generated<string>;\n    colour: Generated<string>;\n",
    );
    edit("src/notes/notes.queries.ts", '"title", "text",', '"title", "text", "colour",');
    edit(
      "src/notes/notes.feature.ts",
      "{ id: uuid, title, text,",
      "{ id: uuid, title, text, colour: Type.String(),",
    );
    run("npm", "run", "types");
  });

  test("is an image built by its Dockerfile", () => {
    image = buildImage(project, join(place, "image"), cleanEnvironment());
    expect(image.user).toBe("1000:1000");
    expect(existsSync(join(image.workdir, "node_modules/vitest"))).toBe(false);
    expect(existsSync(join(image.workdir, "src/notes/notes.test.ts"))).toBe(false);
    settings = {
      ...image.env,
      DATABASE_URL: database.url,
      MASTER_SECRET: "a-master-secret-of-this-test-0123456789",
      PUBLIC_URL: "https://api.acme.example",
      BASE_DOMAIN: "acme.example",
      MAIL: "capture",
      ADMIN_EMAIL: "admin@acme.example",
      ADMIN_PASSWORD: "an-Unusual-passphrase-1",
      LOG_LEVEL: "warn",
    };
  }, 120_000);

  test("migrates, serves, and returns the new column to an owner", async () => {
    expect(() => inImage("start")).toThrow(/migrate up/);
    inImage("migrate", "up");
    expect(inImage("migrate", "status")).toContain("up to date");

    const port = await freePort();
    // A machine may have many cores.
    const command = [...image.entrypoint, ...image.cmd].map((word) =>
      word === "auto" ? "2" : word,
    );
    const server = await startProject({ cwd: image.workdir, command, port, env: settings, user });
    try {
      inImage("tenant", "create", "acme", "--owner", "admin@acme.example");
      const client = clientOf(server.url);
      const person = { email: "admin@acme.example", password: "an-Unusual-passphrase-1" };
      const signedIn = await client("POST", "/api/v1/auth/login", { tenant: "acme", body: person });
      const token: string = signedIn.body.access_token;
      const note = await client("POST", "/api/v1/notes", { token, body: { title: "Lamps" } });
      expect(note).toMatchObject({ status: 201, body: { title: "Lamps", colour: "white" } });
      const notes = await client("GET", "/api/v1/notes", { token });
      expect(notes.body.items).toEqual([note.body]);
      const [program = "", ...args] = image.healthcheck;
      execFileSync(program, args, { env: cleanEnvironment({ PORT: String(port) }) });
    } finally {
      await server.stop();
    }
  }, 120_000);
});

describe("the package alone", () => {
  beforeAll(() => {
    run("npm", "install", "--no-save", tarballs.client);
  });

  test("creates an application", () => {
    writeFileSync(
      join(project, "app.ts"),
      `import { createApp } from "insulae";
       const app = await createApp();
       const tenant = await app.tenants.create({ key: "globex", name: "Globex", isolation: "schema" });
       console.log(await app.withTenant(tenant, ({ db }) => db.query("select count(*)::int from contacts")));
       const { statusCode } = await app.inject({ url: "/health/live" });
       console.log(statusCode);
       // Its e-mails are rendered in a thread, by a script of the package.
       const payload = { email: "grace@example.com", password: "correct-horse-battery" };
       await app.inject({ method: "POST", url: "/api/v1/auth/register", payload });
       for (let mails = [], tries = 0; mails.length === 0; tries += 1) {
         if (tries === 100) throw new Error("no mail has come");
         if (tries > 0) await new Promise((resolve) => setTimeout(resolve, 200));
         const url = "/api/v1/dev/mails?to=grace@example.com";
         const reply = await app.inject({ url, headers: { host: "localhost" } });
         mails = reply.json().items;
         if (mails.length > 0) console.log(mails[0].to);
       }
       await app.close();`,
    );
    rmSync(join(project, ".insulae"), { recursive: true, force: true });
    expect(run(process.execPath, "app.ts")).toContain("[ { count: 0 } ]\n200\ngrace@example.com\n");
  });

  test("creates an app for a test, with run-time dependencies only", () => {
    writeFileSync(
      join(project, "contacts.test.ts"),
      `import assert from "node:assert/strict";
       import { after, before, test } from "node:test";
       import { standardFeatures } from "insulae";
       import { createTestApp } from "insulae/testing";
       let app;
       before(async () => { app = await createTestApp({ features: standardFeatures }); });
       after(() => app.close());
       test("of contacts", async () => {
         const acme = await app.createTenant("acme", { isolation: "database" });
         const ada = await acme.createUser({ role: "manager" });
         assert.equal((await ada.post("/contacts", { name: "Grace" })).status, 201);
         await app.runJobs();
       });`,
    );
    const printed = run(process.execPath, "--test", "--test-reporter=tap", "contacts.test.ts");
    expect(printed).toMatch(/^# pass 1$/m);
  });

  test("includes the command", () => {
    expect(run("npx", "insulae", "--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  /** An older Node, if this machine's PATH has one. */
  const olderNode = (process.env.PATH ?? "")
    .split(":")
    .map((folder) => join(folder, "node"))
    .filter((file) => existsSync(file))
    .find((file) => {
      const version = execFileSync(file, ["--version"], { encoding: "utf8" });
      return Number(/^v(\d+)/.exec(version)?.[1]) < 22;
    });

  test.skipIf(olderNode === undefined).each([
    ["the command", ["node_modules/insulae/dist/cli/bin.js", "start"]],
    ["an import", ["--input-type=module", "--eval", 'import { createApp } from "insulae";']],
    ["the tests' import", ["--input-type=module", "--eval", 'import "insulae/testing";']],
    ["create-insulae", [join(root, "build/create-insulae/dist/create-insulae.js"), "x"]],
  ])("on an older Node, %s says in a sentence which version is needed", (_what, args) => {
    const sentence =
      /^Insulae needs Node 22\.18 or later; this is Node [\d.]+\. Get a newer one: \S+\n$/;
    let said = "";
    try {
      execFileSync(olderNode ?? "", args, { cwd: project, stdio: "pipe", env: cleanEnvironment() });
    } catch (error) {
      said = String(Object(error).stderr);
      expect(Object(error).status).toBe(1);
    }
    expect(said).toMatch(sentence);
  });
});

describe("the client", () => {
  const snippets = [
    ...readFileSync(join(root, "docs/client.md"), "utf8").matchAll(/^```ts\n([\s\S]*?)^```/gm),
  ].map(([, code = ""]) => code);

  test("works as its page begins", () => {
    const [first = ""] = snippets;
    const from = 'baseUrl: "https://acme.example.com"';
    expect(first).toContain(from);
    writeFileSync(
      join(project, "client.ts"),
      `import { createApp } from "insulae";
       const app = await createApp();
       await app.tenants.create({ key: "initech", name: "Initech", settings: { registration: "open" } });
       const baseUrl = await app.listen({ port: 0 });
       const visitor = createClient({ baseUrl, tenant: "initech" });
       const ada = { email: "ada@example.com", password: "correct-horse-battery" };
       await visitor.post("/auth/register", { body: ada });
       ${first.replace(from, 'baseUrl, tenant: "initech"')}
       await app.close();`,
    );
    expect(run(process.execPath, "client.ts")).toContain("Grace Hopper\n");
  });

  test("has the types shown on its page", () => {
    const bodies = snippets.map((code) => code.replaceAll(/^import .*$/gm, ""));
    expect(bodies.length).toBeGreaterThan(5);
    writeFileSync(
      join(project, "snippets.ts"),
      `import { ApiError, type Client, createClient, type paths } from "@insulae/client";
       declare const client: Client;
       declare const [email, password, baseUrl]: [string, string, string];
       declare const params: { path: { id: string } };
       declare const input: { files: [File] };
       declare function askForCode(): Promise<string>;
       ${bodies.map((code, i) => `export const shown${i} = async () => {\n${code}\n};`).join("\n")}`,
    );
    writeFileSync(
      join(project, "tsconfig.snippets.json"),
      JSON.stringify({
        extends: "./tsconfig.json",
        compilerOptions: { noUnusedLocals: false },
        include: ["snippets.ts"],
      }),
    );
    run(process.execPath, tsc, "-p", "tsconfig.snippets.json");
  });
});
