/** What others on the same PostgreSQL could see of a tenant: statements' texts, and notifications. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isolations } from "../src/kernel/model/tenant.ts";
import { addMember, createMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";
import type { TestApp as App } from "../src/testing/test-app.ts";

const marker = "Zx9QmarkerOfOneTenant";
let app: App;
let observer: pg.Client;

beforeAll(async () => {
  app = await createTestApp();
  observer = new pg.Client({ connectionString: app.config.databaseUrl });
  await observer.connect();
});

afterAll(async () => {
  await observer?.end();
  await app?.close();
});

/** A day in the life of a tenant, in each isolation, whose every value holds the marker. */
async function beBusy(): Promise<void> {
  for (const isolation of isolations) {
    const { tenant } = await createMember(app, isolation);
    const owner = await addMember(app, tenant, "owner");
    const contact = await owner.call("POST", "/contacts", { name: marker, notes: marker });
    await owner.call("PATCH", `/contacts/${contact.body.id}`, { company: marker });
    await owner.call("GET", `/contacts?q=${marker}`);
    await owner.call("DELETE", `/contacts/${contact.body.id}`);
    const email = `${marker}@example.com`;
    const user = await owner.call("POST", "/users", { email, first_name: marker });
    await owner.call("PATCH", `/users/${user.body.id}`, { last_name: marker, role: "manager" });
    await owner.call("PATCH", `/tenants/${tenant.id}`, { name: marker });
    await app.inject({
      method: "POST",
      url: "/api/v1/auth/login",
      headers: { "x-tenant": tenant.key },
      payload: { email, password: marker },
    });
    await owner.call("DELETE", `/users/${user.body.id}`);
    await app.withTenant(tenant, ({ db }) =>
      db.transaction().execute((tx) =>
        tx
          .selectFrom("contacts" as never)
          .selectAll()
          .execute(),
      ),
    );
    await app.tenants.suspend(tenant.id);
    await app.tenants.resume(tenant.id);
  }
}

test("no statement's text in pg_stat_activity holds a tenant's value (attack 20)", async () => {
  const texts = new Set<string>();
  let busy = true;
  const work = beBusy().finally(() => {
    busy = false;
  });
  while (busy) {
    const { rows } = await observer.query<{ query: string }>(
      "select query from pg_stat_activity where pid <> pg_backend_pid()",
    );
    for (const { query } of rows) texts.add(query);
  }
  await work;
  const seen = [...texts];
  expect(seen.some((text) => text.includes("contacts"))).toBe(true);
  expect(seen.filter((text) => text.toLowerCase().includes(marker.toLowerCase()))).toEqual([]);
});

test("notifications are kinds and opaque ids (attack 21)", async () => {
  const payloads: string[] = [];
  observer.on("notification", ({ payload = "" }) => payloads.push(payload));
  await observer.query("listen insulae");
  await beBusy();
  await observer.query("select 1");
  expect(payloads.length).toBeGreaterThan(10);
  // An entry of a cache by the hash of its key.
  const opaque = /^[a-z_-]+(:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})*(:k[\w-]{27})?$/;
  expect(payloads.filter((payload) => !opaque.test(payload))).toEqual([]);
});
