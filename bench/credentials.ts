/** Credentials of each kind for the pool's users. */
import {
  hashApiKeySecret,
  newApiKeySecret,
  printApiKey,
} from "../packages/insulae/src/kernel/identity/api-key.ts";
import { epochOf } from "../packages/insulae/src/kernel/identity/authority.ts";
import { sessionCookie } from "../packages/insulae/src/kernel/identity/cookie-sessions.ts";
import type { ResolverInput } from "../packages/insulae/src/kernel/identity/resolution.ts";
import type { TenantId, UserId } from "../packages/insulae/src/kernel/lib/ids.ts";
import type { Database } from "./database.ts";
import type { Caller } from "./dataset.ts";
import type { Services } from "./insulae.ts";
import { userEmail } from "./people.ts";

export const credentialKinds = ["token", "API key", "cookie session"] as const;

type MakeCallers = (
  database: Database,
  services: Services,
  pool: readonly Caller[],
) => Promise<ResolverInput[]>;

export const callersBy: Readonly<Record<(typeof credentialKinds)[number], MakeCallers>> = {
  token: async (_database, _services, pool) => pool.map(({ token }) => ({ ...nothing, token })),

  "API key": (database, { platform }) =>
    database.connected(async (client) => {
      const made = (await listUsers(database)).map((user) => ({
        ...user,
        id: crypto.randomUUID(),
        secret: newApiKeySecret(),
      }));
      await client.query(
        `insert into data.api_keys (tenant_id, user_id, id, secret_hash, name, scopes)
         select *, 'benchmark', array['contacts:read']
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[])`,
        [
          made.map(({ tenantId }) => tenantId),
          made.map(({ userId }) => userId),
          made.map(({ id }) => id),
          made.map(({ secret }) => hashApiKeySecret(secret)),
        ],
      );
      // Creating them has cached their makers.
      for (const { tenantId, userId } of made) platform.authority.forgetUser(tenantId, userId);
      return made.map((key) => ({ ...nothing, token: printApiKey(key) }));
    }),

  "cookie session": async (database, { platform }) =>
    Promise.all(
      (await listUsers(database)).map(async ({ tenantId, userId }) => {
        const { cookie } = await platform.cookieSessions.open({
          tenantId,
          subjectId: userId,
          epoch: epochOf(new Date(0)),
          ip: "192.0.2.1",
          userAgent: "benchmark",
          amr: ["pwd"],
        });
        return { ...nothing, cookies: `${sessionCookie}=${cookie}` };
      }),
    ),
};

const nothing: ResolverInput = {
  host: "bench.example",
  token: undefined,
  cookies: undefined,
  csrfToken: undefined,
  changes: false,
  tenantHeader: undefined,
  certificate: undefined,
};

const listUsers = (database: Database) =>
  database.connected(async (client) => {
    const { rows } = await client.query<{ tenantId: TenantId; userId: UserId }>(
      `select tenant_id as "tenantId", id as "userId" from data.users
       where email = $1 order by tenant_id`,
      [userEmail],
    );
    return rows;
  });
