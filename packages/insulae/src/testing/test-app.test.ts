import pg from "pg";
import { expect, test } from "vitest";
import { defineError, feature } from "../index.ts";
import { createTestApp } from "./test-app.ts";
import { testServerUrl } from "./test-server.ts";

async function databaseExists(name: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: await testServerUrl() });
  await client.connect();
  try {
    const { rowCount } = await client.query("select from pg_database where datname = $1", [name]);
    return rowCount === 1;
  } finally {
    await client.end();
  }
}

test("two apps in one process know nothing of each other's tenants", async () => {
  const [one, two] = await Promise.all([createTestApp(), createTestApp()]);
  await one.tenants.create({ key: "acme", name: "Acme", isolation: "schema" });
  await two.tenants.create({ key: "acme", name: "Another Acme", isolation: "pool" });
  const nameOf = (app: typeof one) => app.withTenant("acme", async ({ tenant }) => tenant.name);
  expect([await nameOf(one), await nameOf(two)]).toEqual(["Acme", "Another Acme"]);
  await Promise.all([one.close(), two.close()]);
});

test("a closed app leaves no database behind, of its own or of its tenants", async () => {
  const app = await createTestApp();
  const tenant = await app.tenants.create({ key: "acme", name: "Acme", isolation: "database" });
  const { database } = tenant.placement;
  expect(await databaseExists(database)).toBe(true);
  await app.close();
  expect(await databaseExists(database)).toBe(false);
});

test("an app that cannot start says why, and leaves no connection", async () => {
  const gone = defineError("gone", 410, "Gone");
  const broken = feature("broken", {
    constraints: { a: gone },
    routes: (r) => [
      r.get("/x", { permission: "nobody:knows", response: {}, summary: "x" }, () => "x"),
    ],
  });
  await expect(createTestApp({ features: [broken] })).rejects.toThrow(/nobody:knows/);
});
