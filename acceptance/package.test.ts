/** What is published runs from below `node_modules`, where Node runs no TypeScript. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

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
});
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
     await app.close();`,
  );
  expect(run("app.ts")).toContain("[ { count: 0 } ]\n200\n");
});

// Shows S2-032
test("so is the command", () => {
  expect(run("node_modules/insulae/dist/cli/main.js", "--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("and the client of it", () => {
  writeFileSync(
    `${folder}client.ts`,
    `import { createClient } from "@insulae/client";
     import { createApp } from "insulae";
     const app = await createApp();
     const client = createClient({ baseUrl: await app.listen({ port: 0 }) });
     const email = "ada@example.com";
     await client.post("/auth/register", { body: { email, password: "a-Fine-passphrase-7" } });
     console.log((await client.get("/auth/me")).user.email);
     await app.close();`,
  );
  expect(run("client.ts")).toContain("ada@example.com\n");
});
