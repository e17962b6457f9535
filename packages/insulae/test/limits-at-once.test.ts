/** Limits on how many a tenant or user has of something hold, also for several requests at once. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { UserId } from "../src/kernel/lib/ids.ts";
import { openTestPeople, type TestPeople } from "../src/testing/test-people.ts";

let people: TestPeople;

beforeAll(async () => {
  people = await openTestPeople();
});

afterAll(() => people?.close());

interface Kind {
  readonly path: string;
  readonly table: string;
  readonly max: number;
  /** The columns and, of the nth row, the values of those that are there already. */
  readonly seed: (userId: string) => readonly [columns: string, values: string];
  readonly body: (n: number) => object;
  readonly created?: number;
  /** The oldest goes instead. */
  readonly replaces?: true;
}

const keys = { p256dh: "A".repeat(87), auth: "A".repeat(22) };

const kinds: Readonly<Record<string, Kind>> = {
  "API keys of a user": {
    path: "/api/v1/api-keys",
    table: "api_keys",
    max: 50,
    seed: (id) => [
      "user_id, name, scopes, secret_hash",
      `'${id}', 'key ' || n, '{users:read}', 'x'`,
    ],
    body: (n) => ({ name: `more ${n}`, scopes: ["users:read"] }),
  },
  webhooks: {
    path: "/api/v1/webhooks",
    table: "webhooks",
    max: 20,
    seed: () => ["url, events, sealed_secret", "'https://hook.example', '{user.created}', 'x'"],
    body: (n) => ({ url: `http://127.0.0.1:${9_000 + n}/`, events: ["user.created"] }),
  },
  roles: {
    path: "/api/v1/roles",
    table: "roles",
    max: 200,
    seed: () => ["name, permissions", "'role ' || n, '{}'"],
    body: (n) => ({ name: `more ${n}`, permissions: [] }),
  },
  invitations: {
    path: "/api/v1/invitations",
    table: "invitations",
    max: 1_000,
    seed: () => [
      "email, role, role_ids, expires_at",
      "n || '@example.org', 'user', '{}', now() + interval '1 day'",
    ],
    body: (n) => ({ email: `more${n}@example.org` }),
  },
  "notification templates": {
    path: "/api/v1/notifications/templates",
    table: "notification_templates",
    max: 500,
    seed: () => ["name, type, body, is_active", "'t' || n, 'sms', 'text', false"],
    body: (n) => ({ name: `more_${n}`, type: "sms", body: "text" }),
  },
  "suppressed addresses": {
    path: "/api/v1/notifications/suppressions",
    table: "notification_suppressions",
    max: 100_000,
    seed: () => ["type, recipient, reason", "'email', n || '@example.org', 'manual'"],
    body: (n) => ({ type: "email", recipient: `more${n}@example.org` }),
  },
  "push subscriptions of a user": {
    path: "/api/v1/notifications/push/subscriptions",
    table: "push_subscriptions",
    max: 20,
    seed: (id) => [
      "user_id, endpoint, p256dh, auth",
      `'${id}', 'https://push.example/' || n, 'p', 'a'`,
    ],
    body: (n) => ({ endpoint: `https://push.example/more/${n}`, keys }),
    replaces: true,
  },
};

test.each(Object.keys(kinds))(
  "%s: five at once get one where there is room for one",
  async (name) => {
    const { path, table, max, seed, body, replaces } = kinds[name] as Kind; // one of its keys
    const tenant = await people.newTenant();
    const owner = await people.newOwner(tenant);
    const [columns, values] = seed(owner.user.id);
    const count = () =>
      people.onTenant(tenant, async (db) => {
        const [row] = await db.query(`select count(*)::integer as count from ${table}`);
        return Reflect.get(Object(row), "count");
      });
    await people.onTenant(tenant, (db) =>
      db.query(
        `insert into ${table} (${columns}) select ${values} from generate_series(1, ${max - 1}) n`,
      ),
    );
    const replies = await Promise.all(
      Array.from({ length: 5 }, (_, n) => people.post(path, { token: owner.token, body: body(n) })),
    );
    expect(await count(), JSON.stringify(replies.map(({ text }) => text))).toBe(max);
    const made = replies.filter(({ status }) => status === 201);
    const refused = replies.filter(({ status }) => status === 409);
    expect([made.length, refused.length]).toEqual(replaces ? [5, 0] : [1, 4]);
    for (const { body } of refused) expect(body.code).toMatch(/^too_many_/);
  },
);

const controlKinds = {
  "hosts that a tenant claims": {
    path: (id: string) => `/api/v1/tenants/${id}/hosts`,
    table: "host_claims",
    max: 100,
    values: "'h' || n || '.shop.example', 'token ' || n",
    columns: "hostname, token",
    body: (n: number) => ({ hostname: `more${n}.shop.example` }),
  },
  "e-mail domains that a tenant claims": {
    path: () => "/api/v1/email-domains",
    table: "email_domains",
    max: 50,
    values: "'d' || n || '.shop.example', 'token ' || n, 'user'",
    columns: "domain, token, role",
    body: (n: number) => ({ domain: `more${n}.shop.example` }),
  },
} as const;

test.each(Object.keys(controlKinds) as (keyof typeof controlKinds)[])(
  "%s: five at once get one where there is room for one",
  async (name) => {
    const { path, table, max, columns, values, body } = controlKinds[name];
    const tenant = await people.newTenant();
    const { token } = await people.newOwner(tenant);
    await people.onPlatform(({ control }) =>
      sql`
        insert into control.${sql.raw(table)} (tenant_id, ${sql.raw(columns)})
        select ${tenant.id}::uuid, ${sql.raw(values)}
        from generate_series(1, ${sql.lit(max - 1)}) n`.execute(control),
    );
    const replies = await Promise.all(
      Array.from({ length: 5 }, (_, n) => people.post(path(tenant.id), { token, body: body(n) })),
    );
    const made = replies.filter(({ status }) => status === 201 || status === 202);
    expect(made, JSON.stringify(replies.map(({ text }) => text))).toHaveLength(1);
  },
);

test("a stranger has five mails of a kind sent to an address in an hour, whatever they do", async () => {
  const { account } = await people.newAccount();
  const asked = await Promise.all(
    Array.from({ length: 12 }, () =>
      people.post("/api/v1/auth/password-reset-request", { body: { email: account.email } }),
    ),
  );
  expect(new Set(asked.map(({ status }) => status))).toEqual(new Set([202]));
  const mails = await people.onPlatform(({ control }) =>
    control
      .selectFrom("control.mails")
      .select("id")
      .where("recipient", "=", account.email)
      .where("template", "=", "password_reset")
      .execute(),
  );
  expect(mails).toHaveLength(5);
});

test("invitations and the mails to new users count towards the notifications of a day", async () => {
  const tenant = await people.newTenant({ settings: { limits: { notifications_per_day: 3 } } });
  const { token } = await people.newOwner(tenant);
  const invite = () =>
    people.post("/api/v1/invitations", { token, body: { email: people.newEmail() } });
  const { body: invitation } = await invite();
  const again = `/api/v1/invitations/${invitation.id}/resend`;
  expect((await people.post(again, { token })).status).toBe(200);
  const added = await people.addUser(tenant, { token }, {});
  for (const reply of [
    await invite(),
    await people.post(again, { token }),
    await people.post("/api/v1/users", { token, body: { email: people.newEmail() } }),
    await people.patch(`/api/v1/users/${added.user.id as UserId}`, {
      token,
      body: { email: people.newEmail() },
    }),
  ]) {
    expect(reply.body).toMatchObject({ code: "quota_exceeded", quota: "notifications_per_day" });
  }
});
