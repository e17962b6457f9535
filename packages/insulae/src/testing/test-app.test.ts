import pg from "pg";
import { expect, test } from "vitest";
import { createTestApp } from "./test-app.ts";
import { testServerUrl } from "./test-server.ts";

async function databases(): Promise<number> {
  const client = new pg.Client({ connectionString: await testServerUrl() });
  await client.connect();
  const { rows } = await client.query(
    "select count(*)::int as n from pg_database where datname ~ '^t_'",
  );
  await client.end();
  return rows[0].n;
}

test("two apps in one process know nothing of each other's tenants", async () => {
  const [one, two] = await Promise.all([createTestApp(), createTestApp()]);
  const acme = await one.tenants.create({ key: "acme", name: "Acme", isolation: "database" });
  await two.tenants.create({ key: "acme", name: "Another Acme", isolation: "pool" });
  expect(await one.withTenant("acme", async ({ tenant }) => tenant.id)).toBe(acme.id);
  expect(await two.withTenant("acme", async ({ tenant }) => tenant.name)).toBe("Another Acme");
  expect(await databases()).toBeGreaterThan(0);
  await Promise.all([one.close(), two.close()]);
});
