import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { findMisleading } from "../text.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

describe("a name", () => {
  it.each([
    ["vie\u200bwer", "U+200B"],
    ["vie\u200dwer", "U+200D"],
    ["viewer\ufe0f", "U+FE0F"],
    ["viewer\u{e0100}", "U+E0100"],
    ["view\u00ader", "U+00AD"],
    ["\u202eresu", "U+202E"],
    ["user\u{e0041}", "U+E0041"],
    ["a\nb", "U+000A"],
  ])("is refused for what nobody sees: %j", (name, found) => {
    expect(findMisleading(name)).toBe(found);
  });

  it.each(["Zoë", "👩‍💻", "❤️", "1️⃣", "می‌خواهم", "Müller & Söhne"])("may be %s", (name) => {
    expect(findMisleading(name)).toBeUndefined();
  });
});

describe("a name that looks like another", () => {
  it("is none for a role, a tenant, an API key or a client certificate", async () => {
    const tenant = await people.newTenant();
    const { token } = await people.newOwner(tenant);
    const { body: role } = await people.post("/api/v1/roles", { token, body: { name: "Clerk" } });
    const body = { name: "vie\u200bwer" };
    const key = `t_${tenant.number}_other`;
    const attempts = [
      await people.post("/api/v1/roles", { token, body }),
      await people.put(`/api/v1/roles/${role.id}`, { token, body }),
      await people.post("/api/v1/tenants", { body: { ...body, key } }),
      await people.patch(`/api/v1/tenants/${tenant.key}`, { token, body }),
      await people.post("/api/v1/api-keys", { token, body: { ...body, scopes: ["users:read"] } }),
      await people.post("/api/v1/client-certificates", {
        token,
        body: { ...body, kind: "certificate", certificate: "-----BEGIN CERTIFICATE-----" },
      }),
    ];
    for (const attempt of attempts) {
      expect(attempt.status).toBe(400);
      expect(attempt.text).toContain("U+200B");
    }
  });
});
