/** A row in every table and data in every other place for one tenant, for tests of erasure. */
import pg from "pg";
import type { Tenant } from "../kernel/model/tenant.ts";
import { parkJob } from "./parked-job.ts";
import type { TestApp as App } from "./test-app.ts";
import { withDatabase } from "./test-database.ts";

/**
 * A row of each feature table, in the order of their references. `:user` is a user's id, `:mark` a
 * unique text.
 */
export const featureRows: Readonly<Record<string, string>> = {
  users: "(id, email) values (:user, :mark)",
  roles: "(id, name) values (:user, :mark)",
  user_roles: "(user_id, role_id) values (:user, :user)",
  api_keys: "(user_id, name, scopes, secret_hash) values (:user, :mark, '{}', '\\x00')",
  identity_providers:
    "(name, issuer, client_id, sealed_secret, scopes) values (:mark, :mark, '', '', '{}')",
  identities: "(user_id, issuer, subject) values (:user, '', :mark)",
  invitations:
    "(email, role, sent_by, expires_at) values (:mark, 'user', :user, now() + interval '1 day')",
  audit_log:
    "(action, outcome, actor_kind, actor_name, detail) values ('a.b', 'succeeded', 'user', :mark, '{}')",
  contacts: "(name) values (:mark)",
  products: "(id, name, price) values (:user, :mark, 1)",
  orders: "(id, number, user_id, currency, total) values (:user, 1, :user, 'EUR', 1)",
  order_lines:
    "(order_id, position, product_id, quantity, unit_price, line_total) values (:user, 1, :user, 1, 1, 1)",
  order_counters: "(last_number) values (1)",
  documents: "(title, created_by) values (:mark, :user)",
  files: "(user_id, file_name, mime_type, file_size) values (:user, :mark, 'text/plain', 1)",
  notification_templates: "(name, type, body) values (:mark, 'sms', '')",
  notifications: "(type, recipient, user_id, priority) values ('email', :mark, :user, 'low')",
  notification_suppressions: "(type, recipient, reason) values ('email', :mark, 'manual')",
  push_subscriptions: "(user_id, endpoint, p256dh, auth) values (:user, :mark, '', '')",
  webhooks: "(id, url, events, sealed_secret) values (:user, :mark, '{}', '')",
  webhook_states: "(webhook_id) values (:user)",
  webhook_events: "(id, name, payload) values (:user, 'a.b', :mark)",
  webhook_deliveries: "(webhook_id, event_id) values (:user, :user)",
  outbox: "(id, job, data) values (:user, 'tests.none', jsonb_build_object('mark', :mark))",
  idempotency_keys:
    "(caller_id, key, request_hash, claim, claimed_until, body, expires_at) values (:user, 'k', '', :user, now(), :mark, now() + interval '1 day')",
  quota_counters: "(name, used) values ('rows', 1) on conflict do nothing",
  session_data:
    "(id, revision, sealed, expires_at) values (:mark, :user, '', now() + interval '1 day')",
};

/** The same for tables of the control plane; `:tenant` is the tenant's id. */
export const controlRows: Readonly<Record<string, string>> = {
  "control.moves":
    "(tenant_id, kind, state, from_placement, source, target, keep_seconds) values (:tenant, 'move', 'done', :user, '{}', jsonb_build_object('mark', :mark), 0)",
  "control.sessions":
    "(tenant_id, subject_id, kind, epoch, ip, user_agent, expires_at) values (:tenant, :user, 'token', '', '1.2.3.4', :mark, now() + interval '1 day')",
  "control.memberships":
    "(account_id, tenant_id, user_id) select id, :tenant, :user from control.accounts limit 1",
  "control.hosts": "(hostname, tenant_id) values (:mark, :tenant)",
  "control.host_certificates":
    "(hostname, certificate, sealed_key, fingerprint, not_after) values (:mark, '', '', '', now())",
  "control.host_claims": "(tenant_id, hostname, token) values (:tenant, :mark, '')",
  "control.client_certificates":
    "(tenant_id, name, kind, fingerprint, certificate, subject, user_id, not_before, not_after) values (:tenant, :mark, 'certificate', '', '', '', :user, now(), now())",
  "control.email_domains": "(tenant_id, domain, token) values (:tenant, :mark, '')",
  "control.mails":
    "(tenant_id, template, recipient, due_at) values (:tenant, 'none', :mark, now() + interval '1 day')",
  "control.captured_messages":
    "(id, tenant_id, channel, recipient, content) values (:user, :tenant, 'email', :mark, '{}')",
  "control.handed_over_mails": "(provider_id, mail_id, tenant_id) values (:mark, :user, :tenant)",
  "control.one_time_tokens":
    "(purpose, tenant_id, subject_id, hash, detail, expires_at) values ('invitation', :tenant, :user, sha256(convert_to(:mark, 'UTF8')), jsonb_build_object('email', :mark), now() + interval '1 day')",
  "control.impersonations":
    "(id, tenant_id, user_id, administrator_id, reason, ends_at) select :user, :tenant, :user, id, :mark, now() from control.accounts limit 1",
  "control.factors":
    "(tenant_id, subject_id, kind, name, sealed_secret, last_step) values (:tenant, :user, 'totp', :mark, '', 0)",
  "control.recovery_codes":
    "(hash, tenant_id, subject_id) values (sha256(convert_to(:mark, 'UTF8')), :tenant, :user)",
  "control.factor_attempts":
    "(tenant_id, subject_id, attempts, paused_until) values (:tenant, :user, 1, now())",
  "control.outbox_marks":
    "(tenant_id, node, until) values (:tenant, gen_random_uuid(), now() + interval '1 day')",
  "control.usage_daily":
    "(tenant_id, day, metric, amount) values (:tenant, '2026-01-01', 'requests', 1)",
  "control.usage_measured": "(tenant_id, at) values (:tenant, now()) on conflict do nothing",
};

export interface Planted {
  readonly userId: string;
  /** A text that is in most of the rows. */
  readonly mark: string;
}

/** Plants data of the tenant everywhere. The app needs at least one account. */
export async function plantEverything(app: App, tenant: Tenant): Promise<Planted> {
  const userId = crypto.randomUUID();
  const mark = `mark-${userId}.example`;
  const url = app.config.databaseUrl ?? "";
  const plant = async (
    database: string,
    schema: string,
    rows: Readonly<Record<string, string>>,
  ) => {
    const client = new pg.Client({ connectionString: withDatabase(url, database) });
    await client.connect();
    try {
      await client.query(
        `set search_path = "${schema}"; set app.current_tenant_id = '${tenant.id}'`,
      );
      for (const [table, row] of Object.entries(rows)) {
        const values = row
          .replaceAll(":user", `'${userId}'`)
          .replaceAll(":tenant", `'${tenant.id}'`)
          .replaceAll(":mark", `'${mark}'`);
        await client.query(`insert into ${table} ${values}`);
      }
    } finally {
      await client.end();
    }
  };
  const { database, schema } = tenant.placement;
  await plant(database, schema, featureRows);
  await plant(new URL(url).pathname.slice(1), "control", controlRows);
  await parkJob(app, tenant.id);
  await app.withTenant(tenant, async ({ storage, cache }) => {
    for (const name of ["a-file", "incoming/an-upload"]) {
      await storage.put(name, bytes(mark), "text/plain");
    }
    await cache.set("mark", mark);
  });
  return { userId, mark };
}

async function* bytes(text: string) {
  yield Buffer.from(text);
}
