import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { addMember, createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";

let app: App;
let admin: TestMember;
const password = "a-Fine-passphrase-8";

beforeAll(async () => {
  app = await createTestApp();
  const { tenant } = await createMember(app);
  admin = await addMember(app, tenant, "admin");
});

afterAll(() => app?.close());

const audited = async (action: `${string}.${string}`, times: number) => {
  for (let i = 0; i < times; i++) {
    await app.audit({ tenant: admin.tenant, action, target: { type: "thing", id: `${i}` } });
  }
};

const targetsOf = (body: { items: { target_id: string }[] }) =>
  body.items.map(({ target_id }) => target_id);

const platformAdmin = async (): Promise<string> => {
  await app.ensureAdmin({ email: "admin@example.com", password });
  const reply = await app.inject({
    method: "POST",
    url: "/api/v1/auth/login",
    payload: { email: "admin@example.com", password },
  });
  return reply.json().access_token;
};

describe("the list", () => {
  test("comes newest first, in pages that neither repeat nor leave out", async () => {
    await audited("page.made", 7);
    const seen: string[] = [];
    let cursor = "";
    do {
      const { body } = await admin.call("GET", `/audit?action=page.made&limit=3${cursor}`);
      seen.push(...targetsOf(body));
      cursor = body.next_cursor ? `&cursor=${body.next_cursor}` : "";
    } while (cursor && seen.length < 10);
    expect(seen).toEqual(["6", "5", "4", "3", "2", "1", "0"]);
  });

  test("is filtered by action, outcome, actor, target and time", async () => {
    await app.audit({ tenant: admin.tenant, action: "thing.done", outcome: "failed" });
    await audited("thing.done", 2);
    const list = async (filter: string) =>
      (await admin.call("GET", `/audit?action=thing.done&${filter}`)).body.items;
    const [last, first, failed] = await list("");
    expect(await list("outcome=failed")).toEqual([failed]);
    expect(await list("target=0")).toEqual([first]);
    expect(await list(`from=${encodeURIComponent(first.at)}`)).toEqual([last, first]);
    expect(await list(`to=${encodeURIComponent(last.at)}`)).toEqual([first, failed]);
    await admin.call("POST", "/users", { email: "somebody@example.com" });
    const mine = (await admin.call("GET", `/audit?actor=${admin.userId}&action=user.created`)).body;
    expect(mine.items).toMatchObject([{ actor_kind: "user", action: "user.created" }]);
  });

  test("is filtered by the beginning of actions", async () => {
    await audited("prefix.one", 1);
    await audited("prefix.two", 1);
    await audited("prefixed.not", 1);
    const { body } = await admin.call("GET", "/audit?action=prefix.*");
    expect(body.items.map(({ action }: { action: string }) => action)).toEqual([
      "prefix.two",
      "prefix.one",
    ]);
    const { body: literal } = await admin.call("GET", "/audit?action=pref%25.*");
    expect(literal.items).toEqual([]);
  });

  test("gives the text that was hashed, from which anybody can compute the hash", async () => {
    await app.audit({
      tenant: admin.tenant,
      action: "page.hashed",
      detail: { text: "Zoë, 1:2,", number: 1.5 },
    });
    const token = await platformAdmin();
    const platform = await app.inject({
      method: "GET",
      url: "/api/v1/platform/audit?hashed=true",
      headers: { authorization: `Bearer ${token}` },
    });
    const { body } = await admin.call("GET", "/audit?hashed=true");
    for (const items of [body.items, platform.json().items]) {
      expect(items.length).toBeGreaterThan(0);
      for (const { hashed, hash } of items) {
        expect(createHash("sha256").update(hashed).digest("hex")).toBe(hash);
      }
    }
    const { body: plain } = await admin.call("GET", "/audit");
    expect(plain.items[0]).not.toHaveProperty("hashed");
  });

  test("and the export are for admins only", async () => {
    const manager = await addMember(app, admin.tenant, "manager");
    for (const path of ["/audit", "/audit/export"]) {
      expect((await manager.call("GET", path)).status).toBe(403);
    }
    for (const path of ["/platform/audit", "/platform/audit/export"]) {
      expect((await admin.call("GET", path)).status).toBe(403);
    }
  });

  test("tenant B sees none of A's entries", async () => {
    const other = await addMember(app, (await createMember(app)).tenant, "admin");
    await audited("secret.thing", 1);
    expect((await other.call("GET", "/audit?action=secret.thing")).body.items).toEqual([]);
    const reply = await app.inject({
      url: "/api/v1/audit/export",
      headers: { authorization: `Bearer ${other.token}` },
    });
    expect(reply.body).not.toContain(admin.tenant.id);
    expect(reply.body).not.toContain("secret.thing");
  });

  test("the platform's is for its administrators", async () => {
    await app.audit({ action: "platform.tested", detail: { number: 1 } });
    const headers = { authorization: `Bearer ${await platformAdmin()}` };
    const reply = await app.inject({
      url: "/api/v1/platform/audit?action=platform.tested",
      headers,
    });
    expect(reply.json().items).toMatchObject([{ actor_kind: "system", detail: { number: 1 } }]);
    const lines = await app.inject({ url: "/api/v1/platform/audit/export", headers });
    expect(lines.body).toContain('"platform.tested"');
  });
});

describe("the export", () => {
  test("has all entries, one a line, oldest first, and is in the log itself", async () => {
    await audited("many.things", 1_100);
    const reply = await app.inject({
      url: "/api/v1/audit/export",
      headers: { authorization: `Bearer ${admin.token}` },
    });
    expect(reply.headers["content-type"]).toBe("application/x-ndjson");
    const lines = reply.body.trimEnd().split("\n");
    const entries = lines.map((line) => JSON.parse(line));
    expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, i) => i + 1));
    expect(entries.length).toBeGreaterThan(1_100);
    expect(entries.at(-1)).toMatchObject({ action: "audit.exported", actor_id: admin.userId });
  });
});
