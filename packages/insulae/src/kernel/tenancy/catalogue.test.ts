import { describe, expect, test } from "vitest";
import type { TenantId } from "../lib/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import { type Catalogue, createCatalogue, lookupsOf } from "./catalogue.ts";
import type { TenantLookup } from "./tenant-queries.ts";

const id = (digit: string) => `${digit.repeat(8)}-0000-7000-8000-000000000000` as TenantId;

const tenantOf = (digit: string, key: string, hosts: string[] = []): Tenant => ({
  id: id(digit),
  key,
  slug: key.replaceAll("_", "-"),
  number: Number(digit),
  name: key,
  status: "active",
  plan: "free",
  hosts,
  settings: {},
  ownerAccountId: undefined,
  placement: {
    id: "",
    serverId: "",
    database: "",
    schema: "data",
    isolation: "pool",
    role: undefined,
    version: 1,
  },
  createdAt: new Date(0),
  updatedAt: new Date(0),
});

/** A catalogue over a table that the test changes, with a record of its queries. */
function catalogueOver(tenants: Tenant[], listening = () => true) {
  const asked: string[] = [];
  let gate = Promise.resolve();
  const catalogue: Catalogue = createCatalogue({
    follow: () => listening,
    async load({ by, value }: TenantLookup) {
      asked.push(`${by}:${value}`);
      const found = tenants.find((tenant) =>
        by === "host" ? tenant.hosts.includes(value) : String(tenant[by]) === value,
      );
      await gate;
      return found;
    },
  });
  return { catalogue, asked, hold: (until: Promise<void>) => (gate = until) };
}

describe("the catalogue", () => {
  test("is synchronous the second time, by any name", async () => {
    const { catalogue, asked } = catalogueOver([tenantOf("1", "acme_corp", ["acme.example"])]);
    for (const lookup of [
      { by: "host", value: "acme.example" },
      { by: "key", value: "acme_corp" },
      { by: "slug", value: "acme-corp" },
    ] as const) {
      expect((await catalogue.find(lookup))?.key).toBe("acme_corp");
      expect(catalogue.find(lookup)).not.toBeInstanceOf(Promise);
    }
    expect(catalogue.find({ by: "id", value: id("1") })).toMatchObject({ key: "acme_corp" });
    expect(asked).toHaveLength(3);
  });

  test("queries once, however many wait", async () => {
    const { catalogue, asked } = catalogueOver([tenantOf("1", "acme")]);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => catalogue.find({ by: "key", value: "acme" })),
    );
    expect(answers.every((tenant) => tenant?.key === "acme")).toBe(true);
    expect(asked).toHaveLength(1);
  });

  test("caches unknown names until a tenant is announced", async () => {
    const tenants: Tenant[] = [];
    const { catalogue, asked } = catalogueOver(tenants);
    await catalogue.find({ by: "key", value: "new" });
    expect(catalogue.find({ by: "key", value: "new" })).toBeUndefined();
    expect(asked).toHaveLength(1);

    tenants.push(tenantOf("2", "new"));
    catalogue.forget(id("2"));
    expect((await catalogue.find({ by: "key", value: "new" }))?.id).toBe(id("2"));
  });

  test("does not cache a result requested before an invalidation", async () => {
    const tenants = [tenantOf("1", "acme")];
    const { catalogue, hold } = catalogueOver(tenants);
    const answer = Promise.withResolvers<void>();
    hold(answer.promise);
    const stale = catalogue.find({ by: "key", value: "acme" });
    tenants[0] = { ...tenantOf("1", "acme"), status: "suspended" };
    catalogue.forget(id("1"));
    answer.resolve();
    await stale;
    expect((await catalogue.find({ by: "key", value: "acme" }))?.status).toBe("suspended");
  });

  test("does not return the old tenant of a moved host", async () => {
    const tenants = [tenantOf("1", "old", ["shop.example"]), tenantOf("2", "new")];
    const { catalogue } = catalogueOver(tenants);
    await catalogue.find({ by: "host", value: "shop.example" });
    tenants.splice(0, 2, tenantOf("1", "old"), tenantOf("2", "new", ["shop.example"]));
    catalogue.forget(id("1"));
    catalogue.forget(id("2"));
    await catalogue.find({ by: "id", value: id("1") });
    expect((await catalogue.find({ by: "host", value: "shop.example" }))?.key).toBe("new");
  });
});

test("a reference is an id, a number, a key or a slug, unambiguously", () => {
  expect(lookupsOf(id("1"))).toEqual([{ by: "id", value: id("1") }]);
  expect(lookupsOf("42")).toEqual([{ by: "number", value: "42" }]);
  expect(lookupsOf("Acme")).toEqual([
    { by: "key", value: "acme" },
    { by: "slug", value: "acme" },
  ]);
  expect(lookupsOf("acme_corp")).toEqual([{ by: "key", value: "acme_corp" }]);
  for (const hostile of ["", "a,b", "a b", "' or 1=1", "a\0", "../a"])
    expect(lookupsOf(hostile)).toEqual([]);
});
