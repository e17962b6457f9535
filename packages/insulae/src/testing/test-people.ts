/** An app with tenants, accounts and users, for tests of permissions. */
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { pino } from "pino";
import { createApp } from "../app/app.ts";
import type { AppOptions } from "../app/app-api.ts";
import type { Config } from "../config/config.ts";
import { createOwnerUser } from "../features/users/users.feature.ts";
import type { TenantDatabase } from "../kernel/data/tenant-database.ts";
import type { PlatformScope } from "../kernel/feature/platform.ts";
import type { AccountId } from "../kernel/lib/ids.ts";
import type { Tenant } from "../kernel/model/tenant.ts";
import type { NewTenant } from "../kernel/tenancy/tenants.ts";
import { createTestApp } from "./test-app.ts";
import { until } from "./until.ts";

export type TestPeople = Awaited<ReturnType<typeof openTestPeople>>;

interface Request {
  readonly token?: string;
  /** Sent as the header `X-Tenant`. */
  readonly tenant?: string;
  readonly body?: object;
}

interface CapturedMail {
  readonly template: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

const password = "correct horse battery staple";
/** The minimum in production. */
const argon2 = { memoryKib: 19_456, passes: 2 };

export async function openTestPeople(options: Pick<AppOptions, "features" | "config"> = {}) {
  const lines: Record<string, unknown>[] = [];
  const app = await createTestApp({
    features: [],
    ...options,
    log: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
  });

  const send = async (method: Method, url: string, { token, tenant, body }: Request = {}) => {
    const response = await app.inject({
      method,
      url,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(tenant !== undefined && { "x-tenant": tenant }),
      },
      ...(body && { payload: body }),
    });
    const json = response.body === "" ? undefined : response.json();
    return {
      status: response.statusCode,
      headers: response.headers,
      text: response.body,
      body: json,
    };
  };
  const post = (url: string, request?: Request) => send("POST", url, request);
  const newEmail = () => `${randomUUID()}@example.org`;
  const onControl = app.withPlatform;

  /** The captured e-mails to somebody, oldest first, once there are `count`. */
  const mailsTo = async (email: string, count = 1): Promise<CapturedMail[]> => {
    const items = await until(`${email} has got ${count} mails`, async () => {
      const { body } = await send("GET", `/api/v1/dev/mails?to=${encodeURIComponent(email)}`);
      return body.items.length >= count && body.items;
    });
    return items.toReversed();
  };

  const register = async (tenant: Tenant | undefined, more: object = {}) => {
    const { body, status } = await post("/api/v1/auth/register", {
      ...(tenant && { tenant: tenant.key }),
      body: { email: newEmail(), password, ...more },
    });
    if (status !== 201) throw new Error(`registering: ${status} ${JSON.stringify(body)}`);
    return signedIn(body);
  };
  const newAccount = async () => {
    const { user, ...tokens } = await register(undefined);
    return { account: user as { id: AccountId; email: string }, ...tokens };
  };
  const makeOwner = (tenant: Tenant, account: { readonly id: AccountId }) =>
    onControl("a test", ({ control }) =>
      createOwnerUser({ control, withTenant: app.withTenant }, tenant, account),
    );
  const logIn = async (tenant: Tenant, email: string) => {
    const { body, status } = await post("/api/v1/auth/login", {
      tenant: tenant.key,
      body: { email, password },
    });
    if (status !== 200) throw new Error(`logging in: ${status} ${JSON.stringify(body)}`);
    return signedIn(body);
  };

  return {
    app,
    /** Another node of the same installation; close it. */
    openNode: (config: Partial<Config> = {}) =>
      createApp({
        features: options.features ?? [],
        env: { PUBLIC_URL: app.config.baseUrl, MAIL: "capture" },
        config: { ...app.config, ...(config.env === "production" && { argon2 }), ...config },
        log: pino({ level: "silent" }),
      }),
    password,
    newEmail,
    post,
    get: (url: string, request?: Request) => send("GET", url, request),
    put: (url: string, request?: Request) => send("PUT", url, request),
    onPlatform: <Result>(work: (scope: PlatformScope) => Promise<Result>) =>
      onControl("a test", work),
    onTenant: <Result>(
      tenant: Tenant,
      work: (db: TenantDatabase<Record<never, never>>) => Promise<Result>,
    ) => app.withTenant(tenant, ({ db }) => work(db as TenantDatabase<Record<never, never>>)),
    /** The registered account with this e-mail. */
    findAccount: (email: string) =>
      onControl("a test", ({ control }) =>
        control
          .selectFrom("control.accounts")
          .select(["id", "email"])
          .where("email", "=", email)
          .executeTakeFirstOrThrow(),
      ),
    mailsTo,
    /** The newest e-mail to somebody as a row of the queue, once it has the state. */
    mailRow: (email: string, state: "waiting" | "sent" | "dropped" | "failed") =>
      until(`the newest mail to ${email} is ${state}`, async () => {
        const row = await onControl("a test", ({ control }) =>
          control
            .selectFrom("control.mails")
            .selectAll()
            .where("recipient", "=", email)
            .orderBy("id", "desc")
            .limit(1)
            .executeTakeFirst(),
        );
        return row?.state === state && row;
      }),
    /** The token in the newest e-mail's link, once there are `count`. */
    async tokenTo(email: string, count = 1): Promise<string> {
      const text = (await mailsTo(email, count)).at(-1)?.text ?? "";
      return /[?&]token=([\w-]+)/.exec(text)?.[1] ?? "";
    },
    patch: (url: string, request?: Request) => send("PATCH", url, request),
    delete: (url: string, request?: Request) => send("DELETE", url, request),
    logLines: () => lines,
    newTenant: (more: Partial<NewTenant> = {}) => {
      const key = `t_${randomUUID().replaceAll("-", "").slice(0, 16)}x`;
      return app.tenants.create({ key, name: "A tenant", ...more });
    },
    suspend: (tenant: Tenant) => app.tenants.suspend(tenant.id),
    newAccount,
    makeOwner,
    /** An account that owns the tenant, signed in there. */
    async newOwner(tenant: Tenant) {
      const { account } = await newAccount();
      await makeOwner(tenant, account);
      return { account, ...(await logIn(tenant, account.email)) };
    },
    async admin() {
      const { account, token } = await newAccount();
      await onControl("a test", ({ control }) =>
        control
          .updateTable("control.accounts")
          .set({ platform_admin: true })
          .where("id", "=", account.id)
          .execute(),
      );
      return { account, token };
    },
    register,
    logIn,
    /** Adds a user through the API, and signs them in if they have a password. */
    async addUser(tenant: Tenant, by: { readonly token: string }, more: object) {
      const body = { email: newEmail(), ...more };
      const added = await post("/api/v1/users", { token: by.token, body });
      if (added.status !== 201) throw new Error(`adding: ${JSON.stringify(added.body)}`);
      const tokens =
        "password" in more ? await logIn(tenant, body.email) : { token: "", refreshToken: "" };
      return { ...tokens, user: added.body };
    },
    deactivateAccount: (id: AccountId) =>
      onControl("a test", ({ control }) =>
        control
          .updateTable("control.accounts")
          .set({ is_active: false })
          .where("id", "=", id)
          .execute(),
      ),
    /** Deletes the account's user in a tenant, as another feature would. */
    removeUserOf: (tenant: Tenant, account: { readonly id: AccountId }) =>
      app.withTenant(tenant, ({ db }) =>
        db.query("delete from users where account_id = $1", [account.id]),
      ),
    setPasswordOf: (tenant: Tenant, userId: string) =>
      app.withTenant(tenant, ({ db }) =>
        sql`update users set password_hash = 'x' where id = ${userId}`.execute(db),
      ),
    close: app.close,
  };
}

/** The parts of a log-in reply that tests need. */
// biome-ignore lint/suspicious/noExplicitAny: tests read what they expect out of it
const signedIn = (body: any) => ({
  user: body.user,
  token: body.token as string,
  refreshToken: body.refresh_token as string,
});

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
