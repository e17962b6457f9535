import type { Services } from "../app/services.ts";
import { CommandError, exitCodes } from "../doctor/failure.ts";
import { findAccountByEmail } from "../features/accounts/accounts.feature.ts";
import { viewOf } from "../features/tenants/tenants.feature.ts";
import { createOwnerUser, isVerificationRequired } from "../features/users/users.feature.ts";
import type { AuditAction } from "../kernel/audit/audit.ts";
import { count } from "../kernel/lib/count.ts";
import { timeText } from "../kernel/lib/times.ts";
import type { Isolation, Tenant } from "../kernel/model/tenant.ts";
import type { CommandContext, Result } from "./command.ts";
import { confirm } from "./confirm.ts";
import { cliActor, withServices } from "./open.ts";
import { properties, table } from "./table.ts";

export interface NewTenantOptions {
  readonly name?: string;
  readonly isolation: Isolation;
  readonly plan?: string;
  readonly host?: readonly string[];
  readonly server?: string;
  readonly owner?: string;
  readonly registration?: "open" | "closed";
}

export interface TenantChangesOptions {
  readonly name?: string;
  readonly plan?: string;
  readonly registration?: "open" | "closed";
}

/** A tenant as the API shows it, with its placement. */
const documentOf = (tenant: Tenant) => {
  const { serverId, database, schema, version } = tenant.placement;
  return { ...viewOf(tenant), placement: { server_id: serverId, database, schema, version } };
};

const textOf = (tenant: Tenant): string => {
  const { isolation, database, schema, version } = tenant.placement;
  return properties({
    id: tenant.id,
    key: tenant.key,
    name: tenant.name,
    number: tenant.number,
    status: tenant.status,
    plan: tenant.plan,
    registration: String(tenant.settings.registration ?? "–"),
    hosts: tenant.hosts.join(", ") || "–",
    owner: tenant.ownerAccountId ?? "–",
    isolation,
    placement: `database ${database}, schema ${schema}, ${count("migration", version)}`,
    created: timeText(tenant.createdAt),
  });
};

const oneTenant = (tenant: Tenant): Result => ({
  document: documentOf(tenant),
  text: textOf(tenant),
});

export const createTenant = (
  context: CommandContext,
  key: string,
  options: NewTenantOptions,
): Promise<Result> =>
  withServices(context, "change", async ({ platform }) => {
    const { name = key, isolation, plan, host: hosts, server, owner, registration } = options;
    const settings = registration && { registration };
    const account = owner === undefined ? undefined : await findOwner(platform, owner);
    const tenant = await platform.tenants.create(
      { key, name, isolation, plan, hosts, server, settings, ownerAccountId: account?.id },
      account && ((created) => createOwnerUser(platform, created, account)),
    );
    await note(platform, "tenant.created", tenant);
    return oneTenant(tenant);
  });

export const updateTenant = (
  context: CommandContext,
  reference: string,
  { name, plan, registration }: TenantChangesOptions,
): Promise<Result> =>
  withServices(context, "change", async ({ platform }) => {
    const { id } = await platform.tenants.get(reference);
    if (name === undefined && plan === undefined && registration === undefined) {
      const message = "Nothing to change. Give --name, --plan or --registration.";
      throw new CommandError("usage", message, exitCodes.usage);
    }
    const tenant = await platform.tenants.update(id, {
      name,
      plan,
      settings: registration && { registration },
    });
    await note(platform, "tenant.updated", tenant);
    return oneTenant(tenant);
  });

/** Audits a command like the corresponding API request, in the platform's log. */
const note = ({ audit }: Services["platform"], action: AuditAction, { id, key }: Tenant) =>
  audit({ action, actor: cliActor(), target: { type: "tenant", id }, detail: { key } });

/**
 * Finds the account. If e-mails must be verified, an unverified one can't own a tenant: it may be
 * anybody's.
 */
async function findOwner({ control, config }: Services["platform"], email: string) {
  const account = await findAccountByEmail(control, email);
  if (account && isVerificationRequired(config, undefined) && !account.email_verified) {
    throw new CommandError(
      "owner_not_verified",
      `The e-mail ${email} is not verified. Open the link in the e-mail that was sent to it.`,
      exitCodes.refused,
    );
  }
  if (account) return account;
  throw new CommandError(
    "account_not_found",
    `There is no account with the e-mail ${email}. Register it first (POST /api/v1/auth/register).`,
  );
}

export interface ListOptions {
  readonly status?: "active" | "suspended";
  readonly limit: number;
  readonly after?: string;
}

export const listTenants = (context: CommandContext, options: ListOptions): Promise<Result> =>
  withServices(context, "look", async ({ platform: { tenants } }) => {
    const { limit, ...filter } = options;
    const found = await tenants.list({ ...filter, limit: limit + 1 });
    const items = found.slice(0, limit);
    const next = found.length > limit ? items.at(-1)?.id : undefined;
    const rows = items.map(({ number, key, name, status, plan, placement }) => [
      ...[number, key, name, status, plan, placement.isolation],
    ]);
    const more = next === undefined ? [] : ["", `There are more: --after ${next}`];
    const heads = ["NUMBER", "KEY", "NAME", "STATUS", "PLAN", "ISOLATION"];
    return {
      document: { items: items.map(documentOf), next_after: next ?? null },
      text: items.length === 0 ? "There are no tenants." : [table(heads, rows), ...more].join("\n"),
    };
  });

export const showTenant = (context: CommandContext, reference: string): Promise<Result> =>
  withServices(context, "look", async ({ platform: { tenants } }) =>
    oneTenant(await tenants.get(reference)),
  );

export const suspendTenant = (context: CommandContext, reference: string): Promise<Result> =>
  withServices(context, "change", async ({ platform }) => {
    const { id } = await platform.tenants.get(reference);
    const tenant = await platform.tenants.suspend(id);
    await note(platform, "tenant.suspended", tenant);
    return oneTenant(tenant);
  });

export const resumeTenant = (context: CommandContext, reference: string): Promise<Result> =>
  withServices(context, "change", async ({ platform }) => {
    const { id } = await platform.tenants.get(reference);
    const tenant = await platform.tenants.resume(id);
    await note(platform, "tenant.resumed", tenant);
    return oneTenant(tenant);
  });

export const deleteTenant = (
  context: CommandContext,
  reference: string,
  yes: boolean,
): Promise<Result> =>
  withServices(context, "change", async ({ platform }) => {
    const tenant = await platform.tenants.get(reference);
    const { id, key, name } = tenant;
    const days = platform.config.deletedTenantDays;
    await confirm(context, yes, {
      message: `This deletes the tenant ${key} (${name}). Its rows are erased in ${count("day", days)}.`,
      answer: key,
    });
    await platform.tenants.delete(id);
    await note(platform, "tenant.deleted", tenant);
    return {
      document: { id, key, deleted: true, kept_days: days },
      text: `Deleted ${key}. Its rows are erased in ${count("day", days)}.`,
    };
  });
