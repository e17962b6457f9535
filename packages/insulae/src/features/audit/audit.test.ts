import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { isolations } from "../../kernel/model/tenant.ts";
import { addMember, createMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";

let app: App;

beforeAll(async () => {
  app = await createTestApp();
});

afterAll(() => app?.close());

const entriesOf = (tenant: string) =>
  app.withTenant(tenant, ({ db }) => db.sql`select * from audit_log order by seq`);

describe.each(isolations)("in a tenant with isolation %s", (isolation) => {
  test("a sensitive operation is in its audit log: who, what, on what, from where", async () => {
    const { tenant } = await createMember(app, isolation);
    const admin = await addMember(app, tenant, "admin");
    const added = await admin.call("POST", "/users", { email: "new@example.com" });
    const entries = await entriesOf(tenant.id);
    expect(entries.map(({ seq }) => seq)).toEqual(["1", "2", "3"]);
    expect(entries.slice(-1)).toMatchObject([
      {
        action: "user.created",
        outcome: "succeeded",
        actor_kind: "user",
        actor_id: admin.userId,
        target_type: "user",
        target_id: added.body.id,
        ip: "127.0.0.1",
        request_id: expect.any(String),
        detail: {},
        previous_hash: entries[1]?.hash,
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    ]);
  });

  test.each([
    "update audit_log set action = 'nothing.done'",
    "delete from audit_log",
    "truncate audit_log",
    "insert into audit_log (action, outcome, actor_kind, detail, hash) values ('a.b', 'failed', 'user', '{}', '')",
    "insert into audit_log (action, outcome, actor_kind, detail, seq) values ('a.b', 'failed', 'user', '{}', 9)",
    "alter table audit_log disable trigger all",
  ])("the application's role may not (attack 112): %s", async (statement) => {
    const { tenant } = await createMember(app, isolation);
    const before = await entriesOf(tenant.id);
    expect(before).toHaveLength(1);
    await expect(app.withTenant(tenant, ({ db }) => db.query(statement))).rejects.toMatchObject({
      code: "42501",
    });
    expect(await entriesOf(tenant.id)).toEqual(before);
  });
});
