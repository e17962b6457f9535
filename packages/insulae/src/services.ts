/**
 * What works on an installation: the services of the control plane, wired together. The server
 * answers requests with them; a command of the CLI calls them.
 */
import { sql } from "kysely";
import { findAccountStanding } from "./features/accounts/accounts.feature.ts";
import { findStanding } from "./features/users/users.feature.ts";
import type { Installation } from "./installation.ts";
import { type Announcements, createAnnouncements } from "./kernel/announcements.ts";
import { createAuthority, systemRolePermissions } from "./kernel/auth/authority.ts";
import { createPasswords } from "./kernel/auth/passwords.ts";
import { loadSigningKeys, secretSigningKeys } from "./kernel/auth/signing-keys.ts";
import { createTokens, type Tokens } from "./kernel/auth/tokens.ts";
import { createPlatform, type Platform } from "./kernel/platform.ts";
import { type Catalogue, createCatalogue } from "./kernel/tenancy/catalogue.ts";
import { createHosts } from "./kernel/tenancy/hosts.ts";
import type { Tenant, UserId } from "./kernel/tenancy/tenant.ts";
import { findTenant } from "./kernel/tenancy/tenant-queries.ts";
import { createTenants } from "./kernel/tenancy/tenants.ts";

export interface Services {
  readonly platform: Platform;
  readonly catalogue: Catalogue;
  readonly announcements: Announcements;
  /** The installation stays open. */
  close(): Promise<void>;
}

export async function createServices(installation: Installation): Promise<Services> {
  const { config, control, features, log, main, servers, databaseOf } = installation;
  const tokens = await createTokenService(installation);

  const catalogue = createCatalogue({
    load: (lookup) => findTenant(control, lookup),
    listening: () => announcements.listening(),
  });
  const authority = createAuthority({
    loadUser: (tenant, id) => findStanding(databaseOf(tenant), id),
    loadAccount: (id) => findAccountStanding(control, id),
    permissionsOf: systemRolePermissions(features),
    listening: () => announcements.listening(),
  });
  const announcements = createAnnouncements({
    broker: installation.broker,
    target: { serverId: main.id, database: main.database, role: "control" },
    control,
    handlers: {
      onTenant: catalogue.forget,
      onUser: authority.forgetUser,
      onAccount: authority.forgetAccount,
      onAnything() {
        catalogue.forgetAll();
        authority.forgetAll();
      },
    },
    log,
  });
  const { baseDomain } = config;
  const platform = createPlatform({
    config,
    control,
    hosts: createHosts({ control, catalogue, baseDomain }),
    servers,
    tenants: createTenants({
      control,
      catalogue,
      provisioning: installation.provisioning,
      eraseRows: (tenant) => eraseRows(installation, tenant),
      baseDomain,
      defaultPlan: config.env === "production" ? "free" : "premium",
      deletedTenantDays: config.deletedTenantDays,
      log,
    }),
    authority,
    tokens,
    passwords: createPasswords(),
    async forgetUser(tenant, userId) {
      authority.forgetUser(tenant.id, userId as UserId);
      await announcements.announceUser(tenant.id, userId);
    },
    databaseOf,
    log,
  });
  return { platform, catalogue, announcements, close: () => announcements.close() };
}

async function createTokenService({ config, control, secrets }: Installation): Promise<Tokens> {
  const signing = config.jwtSecret
    ? await secretSigningKeys(config.jwtSecret)
    : await loadSigningKeys(control, {
        seal: (text) => secrets.seal("signing-key", text),
        open: (sealed) => secrets.open("signing-key", sealed),
      });
  return createTokens({
    signing,
    issuer: config.baseUrl,
    audience: "insulae",
    accessTtlSeconds: config.accessTokenSeconds,
  });
}

/** Deletes the tenant's rows from a shared schema, those that refer to others first. */
async function eraseRows(installation: Installation, tenant: Tenant): Promise<void> {
  const { features, migrations, databaseOf } = installation;
  const tables = migrations.features.flatMap(
    ({ name }) => features.find((feature) => feature.name === name)?.tables ?? [],
  );
  await databaseOf(tenant)
    .transaction()
    .execute(async (tx) => {
      for (const table of tables.toReversed())
        await sql`delete from ${sql.table(table)}`.execute(tx);
    });
}
