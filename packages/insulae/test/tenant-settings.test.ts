/** What an application sets for each tenant: said once, checked when written, typed when read. */
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from "vitest";
import { type App, feature, Type, tenantSettings } from "../src/index.ts";
import { addMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";

const shop = tenantSettings({
  features: Type.Object({ reports: Type.Boolean({ default: false }) }),
  limits: Type.Object({ max_items: Type.Integer({ minimum: 1, default: 100 }) }),
  branding: Type.Object({ theme: Type.String({ default: "light" }) }),
  custom: Type.Object({ allowed_domains: Type.Array(Type.String(), { default: [] }) }),
});

const Shown = Type.Object({ reports: Type.Boolean(), items: Type.Integer(), theme: Type.String() });
const settingsFeature = feature("shown", {
  permissions: { "settings:read": "See settings" },
  routes: (r) => [
    r.get(
      "/shown",
      { permission: "settings:read", summary: "What is set", response: Shown },
      ({ tenant }) => {
        const { features, limits, branding, custom } = shop.of(tenant);
        expectTypeOf(features.reports).toEqualTypeOf<boolean>();
        expectTypeOf(limits.max_items).toEqualTypeOf<number>();
        expectTypeOf(custom.allowed_domains).toEqualTypeOf<string[]>();
        return { reports: features.reports, items: limits.max_items, theme: branding.theme };
      },
    ),
  ],
});

let app: App;
beforeAll(async () => {
  app = await createTestApp({ features: [settingsFeature], settings: shop });
});
afterAll(() => app?.close());

const newTenant = (key: string, settings: object = {}) =>
  app.tenants.create({ key, name: key, settings: { registration: "open", ...settings } });
const pointersOf = async (work: Promise<unknown>) => {
  const { code, errors } = Object(await work.catch((error: unknown) => error));
  expect(code).toBe("validation_failed");
  return errors.map(({ pointer }: { pointer: string }) => pointer);
};

describe("settings of a tenant", () => {
  test("are typed, have defaults, and are each tenant's own", async () => {
    const one = await addMember(app, await newTenant("one"));
    const two = await addMember(
      app,
      await newTenant("two", {
        features: { reports: true },
        limits: { max_items: 5, users: 10 },
        branding: { theme: "dark", name: "Two" },
      }),
    );
    const plain = { reports: false, items: 100, theme: "light" };
    expect((await one.call("GET", "/shown")).body).toEqual(plain);
    expect((await two.call("GET", "/shown")).body).toEqual({
      reports: true,
      items: 5,
      theme: "dark",
    });
    // Others stay.
    await app.tenants.update(two.tenant.id, { settings: { branding: { theme: "blue" } } });
    expect((await two.call("GET", "/shown")).body).toEqual({
      ...plain,
      reports: true,
      items: 5,
      theme: "blue",
    });
    expect((await app.tenants.get("one")).settings).toEqual({ registration: "open" });
  });

  test("are refused when they are written, with the path of what is wrong", async () => {
    const wrong = { features: { reports: "yes", report: true }, limits: { max_items: 0 } };
    const expected = [
      "/body/settings/features/report",
      "/body/settings/features/reports",
      "/body/settings/limits/max_items",
    ];
    expect(await pointersOf(newTenant("wrong", wrong))).toEqual(expected);
    expect(await app.tenants.find("wrong")).toBeUndefined();
    const { id } = await newTenant("right");
    expect(await pointersOf(app.tenants.update(id, { settings: wrong }))).toEqual(expected);
    const custom = { custom: { allowed_domains: "acme.example" } };
    expect(await pointersOf(app.tenants.update(id, { settings: custom }))).toEqual([
      "/body/settings/custom/allowed_domains",
    ]);
    const owner = await addMember(app, await app.tenants.get(id), "owner");
    const reply = await owner.call("PATCH", `/tenants/${id}`, { settings: custom });
    expect([reply.status, reply.body.errors[0].pointer]).toEqual([
      400,
      "/body/settings/custom/allowed_domains",
    ]);
    const right = { custom: { allowed_domains: ["acme.example"] } };
    expect((await owner.call("PATCH", `/tenants/${id}`, { settings: right })).status).toBe(200);
    expect(shop.of(await app.tenants.get(id)).custom.allowed_domains).toEqual(["acme.example"]);
  });

  test("need a default or to be optional, and say so where a tenant's don't fit", async () => {
    expect(() => tenantSettings({ features: Type.Object({ a: Type.Boolean() }) })).toThrow(
      "/body/settings/features/a is required",
    );
    const tenant = await newTenant("older", { features: { reports: true } });
    const other = tenantSettings({
      features: Type.Object({ reports: Type.String({ default: "none" }) }),
    });
    expect(() => other.of(tenant)).toThrow(/tenant older: .*features\/reports must be string/);
  });
});
