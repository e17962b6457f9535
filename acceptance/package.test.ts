/** What is published runs from below `node_modules`, where Node runs no TypeScript. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tsc } from "../scripts/tools.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
/** In the repository, so that the package finds its dependencies above it. */
const folder = fileURLToPath(new URL(".package/", import.meta.url));

const run = (...command: string[]): string =>
  execFileSync(process.execPath, command, { cwd: folder, encoding: "utf8" });

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(`${folder}node_modules`, { recursive: true });
  execFileSync(process.execPath, [`${root}scripts/build.ts`], { cwd: root });
  cpSync(`${root}build/insulae`, `${folder}node_modules/insulae`, { recursive: true });
  cpSync(`${root}build/client`, `${folder}node_modules/@insulae/client`, { recursive: true });
}, 180_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Shows S3-014
test("an application is made of the built package", () => {
  writeFileSync(
    `${folder}app.ts`,
    `import { createApp } from "insulae";
     const app = await createApp();
     const tenant = await app.tenants.create({ key: "acme", name: "Acme", isolation: "schema" });
     console.log(await app.withTenant(tenant, ({ db }) => db.query("select count(*)::int from contacts")));
     const { statusCode } = await app.inject({ url: "/health/live" });
     console.log(statusCode);
     // Its mails are rendered in a thread, from a script of the package.
     const payload = { email: "ada@example.com", password: "correct-horse-battery" };
     await app.inject({ method: "POST", url: "/api/v1/auth/register", payload });
     for (let mails = []; mails.length === 0; ) {
       const reply = await app.inject({ url: "/api/v1/dev/mails", headers: { host: "localhost" } });
       mails = reply.json().items;
       if (mails.length > 0) console.log(mails[0].to);
     }
     await app.close();`,
  );
  expect(run("app.ts")).toContain("[ { count: 0 } ]\n200\nada@example.com\n");
});

test("so is a test, with what the package needs at run time alone", () => {
  writeFileSync(
    `${folder}notes.test.ts`,
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
  expect(run("--test", "--test-reporter=tap", "notes.test.ts")).toMatch(/^# pass 1$/m);
});

// Shows S2-032
test("so is the command", () => {
  expect(run("node_modules/insulae/dist/cli/main.js", "--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
});

describe("the client", () => {
  const snippets = [
    ...readFileSync(`${root}docs/client.md`, "utf8").matchAll(/^```ts\n([\s\S]*?)^```/gm),
  ].map(([, code = ""]) => code);

  test("does what its page begins with", () => {
    const [first = ""] = snippets;
    const from = 'baseUrl: "https://acme.example.com"';
    expect(first).toContain(from);
    writeFileSync(
      `${folder}client.ts`,
      `import { createApp } from "insulae";
       const app = await createApp();
       await app.tenants.create({ key: "globex", name: "Globex", settings: { registration: "open" } });
       const baseUrl = await app.listen({ port: 0 });
       const visitor = createClient({ baseUrl, tenant: "globex" });
       const ada = { email: "ada@example.com", password: "correct-horse-battery" };
       await visitor.post("/auth/register", { body: ada });
       ${first.replace(from, 'baseUrl, tenant: "globex"')}
       await app.close();`,
    );
    expect(run("client.ts")).toContain("Grace Hopper\n");
  });

  test("has the types that its page shows", () => {
    const bodies = snippets.map((code) => code.replaceAll(/^import .*$/gm, ""));
    expect(bodies.length).toBeGreaterThan(5);
    writeFileSync(
      `${folder}snippets.ts`,
      `import { ApiError, type Client, createClient, type paths } from "@insulae/client";
       declare const client: Client;
       declare const [email, password, baseUrl]: [string, string, string];
       declare const params: { path: { id: string } };
       declare const input: { files: [File] };
       declare function askForCode(): Promise<string>;
       ${bodies.map((code, i) => `export const shown${i} = async () => {\n${code}\n};`).join("\n")}`,
    );
    writeFileSync(
      `${folder}tsconfig.json`,
      JSON.stringify({
        extends: "../../tsconfig.json",
        compilerOptions: { noUnusedLocals: false },
        include: ["snippets.ts"],
      }),
    );
    execFileSync(tsc, ["-p", `${folder}tsconfig.json`], { stdio: "inherit" });
  });
});
