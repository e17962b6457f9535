/** What a tenant's settings may be, who may change which, and what the audit log says of it. */
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addMember, createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import type { TestApp as App } from "../../testing/test-app.ts";

let app: App;
let owner: TestMember;

beforeAll(async () => {
  app = await createTestApp();
  const { tenant } = await createMember(app);
  owner = await addMember(app, tenant, "owner");
});

afterAll(() => app?.close());

const texts = (count: number, length: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, "é".repeat(length)]));

const changedEntry = async () => {
  const [entry] = await app.withTenant(
    owner.tenant,
    ({ db }) => db.sql<{ detail: Record<string, unknown>; bytes: number }>`
      select detail, octet_length(detail::text) as bytes
      from audit_log where action = 'tenant.changed' order by seq desc limit 1`,
  );
  return entry;
};

describe("settings of more than 32 KiB are refused", () => {
  const large = { branding: texts(20, 1_000) };

  test.each(["PUT", "PATCH"] as const)("by %s", async (method) => {
    const path = `/tenants/${owner.tenant.id}`;
    const reply = await owner.call(method, path, { settings: large });
    expect(reply).toMatchObject({ status: 413, body: { code: "tenant_settings_too_large" } });
    expect((await owner.call("GET", path)).body.settings).not.toHaveProperty("branding");
  });

  test("as they are when a tenant is made, and by code", async () => {
    const refused = { code: "tenant_settings_too_large" };
    const made = await app.inject({
      method: "POST",
      url: "/api/v1/tenants",
      payload: { key: "large", name: "Large", settings: large },
    });
    expect([made.statusCode, made.json().code]).toEqual([413, refused.code]);
    const values = { key: "larger", name: "Larger", settings: large };
    await expect(app.tenants.create(values)).rejects.toMatchObject(refused);
    await expect(
      app.tenants.update(owner.tenant.id, { settings: { custom: large } }),
    ).rejects.toMatchObject(refused);
  });

  test("and a map has no more members than its schema says", async () => {
    const path = `/tenants/${owner.tenant.id}`;
    for (const settings of [{ branding: texts(101, 1) }, { custom: texts(101, 1) }]) {
      expect((await owner.call("PATCH", path, { settings })).status).toBe(400);
    }
  });
});

describe("a change of some settings", () => {
  const branding = { name: "Acme" };
  const custom = { colour: "red" };
  const path = () => `/tenants/${owner.tenant.id}`;
  const settingsOf = async () => (await app.tenants.get(owner.tenant.id)).settings;

  beforeAll(() =>
    app.tenants.update(owner.tenant.id, {
      settings: { registration: "closed", branding, custom: { other: 1 } },
      replaceSettings: true,
    }),
  );
  afterAll(() =>
    app.tenants.update(owner.tenant.id, {
      settings: { registration: "open" },
      replaceSettings: true,
    }),
  );

  test("by PATCH, or by code, leaves the others", async () => {
    const patched = await owner.call("PATCH", path(), { settings: { custom } });
    expect(patched.body.settings).toEqual({ registration: "closed", branding, custom });
    await app.tenants.update(owner.tenant.id, { settings: { features: { reports: true } } });
    expect(await settingsOf()).toMatchObject({ registration: "closed", branding, custom });
    await owner.call("PATCH", path(), { settings: { branding: { color: "#123456" } } });
    expect(await settingsOf()).toMatchObject({ branding: { color: "#123456" }, custom });
    expect((await settingsOf()).branding).not.toHaveProperty("name");
  });

  test("can't add up to more than the limit", async () => {
    const half = texts(9, 1_000);
    expect((await owner.call("PATCH", path(), { settings: { custom: half } })).status).toBe(200);
    const reply = await owner.call("PATCH", path(), { settings: { branding: half } });
    expect(reply).toMatchObject({ status: 413, body: { code: "tenant_settings_too_large" } });
  });

  test("by PUT replaces them all", async () => {
    await owner.call("PUT", path(), { settings: { branding } });
    expect(await settingsOf()).toEqual({ branding });
  });
});

test("the audit log says which settings were changed, not what all of them are", async () => {
  const path = `/tenants/${owner.tenant.id}`;
  const settings = { registration: "closed", branding: texts(10, 1_000) };
  expect((await owner.call("PATCH", path, { name: "New", settings })).status).toBe(200);
  const entry = await changedEntry();
  expect(entry?.detail).toMatchObject({
    changed: ["name", "settings.registration", "settings.branding"],
    name: { from: expect.any(String), to: "New" },
    "settings.registration": { from: "open", to: "closed" },
  });
  expect(entry?.bytes).toBeLessThan(1_000);
});

describe("whoever may change the settings, but not what users may,", () => {
  let manager: TestMember;
  const change = (settings: object) =>
    manager.call("PATCH", `/tenants/${owner.tenant.id}`, { settings });

  beforeAll(async () => {
    await app.tenants.update(owner.tenant.id, { settings: { registration: "open" } });
    manager = await addMember(app, owner.tenant, "viewer");
    const role = await owner.call("POST", "/roles", {
      name: "settings",
      permissions: ["tenants:manage"],
    });
    await owner.call("POST", `/users/${manager.userId}/roles`, { role: role.body.id });
  });

  test.each([
    [{ registration: "closed" }, { registration: "open" }],
    [{ registration: "closed" }, {}], // which is open in development
    [{ registration: "open", password_login: "off" }, { registration: "open" }],
    [{ registration: "open", password_login: "off" }, { password_login: "on" }],
    [{ email_verification: "required" }, { email_verification: "optional" }],
  ])("of %j makes no %j", async (before, after) => {
    await app.tenants.update(owner.tenant.id, { settings: before, replaceSettings: true });
    const refused = { status: 403, body: { code: "role_above_own" } };
    const path = `/tenants/${owner.tenant.id}`;
    expect(await manager.call("PUT", path, { settings: after })).toMatchObject(refused);
    // A setting that PATCH is not given stays.
    const changesNothing = isDeepStrictEqual({ ...before, ...after }, before);
    expect(await manager.call("PATCH", path, { settings: after })).toMatchObject(
      changesNothing ? { status: 200 } : refused,
    );
    const { settings } = await app.tenants.get(owner.tenant.id);
    expect(settings).toEqual(before);
  });

  test("changes everything else, and may ask for more", async () => {
    await app.tenants.update(owner.tenant.id, { settings: { registration: "open" } });
    const branding = { color: "#123456" };
    expect((await change({ registration: "open", branding })).status).toBe(200);
    expect((await change({ registration: "closed", branding })).status).toBe(200);
    expect(
      (
        await owner.call("PATCH", `/tenants/${owner.tenant.id}`, {
          settings: { registration: "open" },
        })
      ).status,
    ).toBe(200);
  });
});
