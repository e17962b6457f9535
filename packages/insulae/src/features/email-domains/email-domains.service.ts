/**
 * A tenant's e-mail domains. Anybody with a verified address in one of them may join the tenant
 * without an invitation.
 *
 * claim → pending → (the DNS has the record) → verified
 *
 * Domains are sold and expire, and their addresses go to the new owner. The record is therefore
 * checked each time that somebody joins, not only once.
 */
import type { Kysely } from "kysely";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { CorePrincipal } from "../../kernel/identity/principal.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { AccountId, TenantId, UserId } from "../../kernel/lib/ids.ts";
import { inTurn } from "../../kernel/lib/in-turn.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { canonicalHost } from "../../kernel/net/hostname.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import {
  claimableDomain,
  domainNotProven,
  isProven,
  newProofToken,
  notProven,
  proofRecord,
} from "../../kernel/tenancy/domain-proof.ts";
import { tenantNotFound } from "../../kernel/tenancy/errors.ts";
import { alreadyMember, linkAccount } from "../users/users.feature.ts";
import { publicProviders } from "./public-providers.ts";

export const emailDomainNotFound = defineError(
  "email_domain_not_found",
  404,
  "There is no such e-mail domain",
);
export const emailDomainExists = defineError(
  "email_domain_exists",
  409,
  "The tenant has already claimed this e-mail domain",
);
export const tooManyEmailDomains = defineError(
  "too_many_email_domains",
  409,
  "A tenant can have at most 50 e-mail domains. Delete one first.",
);
export const publicEmailDomain = defineError(
  "public_email_domain",
  400,
  "Anyone can get an address in this domain. Claim a domain that only your organization uses.",
);

const maxDomains = 50;

export type JoinRole = "user" | "viewer";
export const defaultJoinRole: JoinRole = "user";

const columns = ["domain", "role", "token", "proven_at", "created_at"] as const;
type Row = Awaited<ReturnType<typeof findRows>>[number];

const findRows = (control: Kysely<ControlTables>, tenantId: TenantId) =>
  control
    .selectFrom("control.email_domains")
    .select(columns)
    .where("tenant_id", "=", tenantId)
    .orderBy("domain")
    .execute();

const viewOf = ({ domain, role, token, proven_at, created_at }: Row) => ({
  domain,
  role,
  status: proven_at ? ("verified" as const) : ("pending" as const),
  verification: { ...proofRecord(domain, token) },
  created_at: created_at.toISOString(),
});

export const listEmailDomains = async (control: Kysely<ControlTables>, tenantId: TenantId) =>
  (await findRows(control, tenantId)).map(viewOf);

/** @throws publicEmailDomain, invalidDomain, emailDomainExists, tooManyEmailDomains */
export async function claimEmailDomain(
  { control }: Platform,
  tenantId: TenantId,
  { domain: raw, role = defaultJoinRole }: { readonly domain: string; readonly role?: JoinRole },
) {
  const domain = claimableDomain(raw);
  if (publicProviders.has(domain)) throw publicEmailDomain();
  const row = await control.transaction().execute(async (tx) => {
    await inTurn(tx, "email_domains", tenantId);
    if ((await findRows(tx, tenantId)).length >= maxDomains) throw tooManyEmailDomains();
    return tx
      .insertInto("control.email_domains")
      .values({ tenant_id: tenantId, domain, token: newProofToken(), role })
      .onConflict((conflict) => conflict.doNothing())
      .returning(columns)
      .executeTakeFirst();
  });
  if (!row) throw emailDomainExists();
  return viewOf(row);
}

/**
 * Looks up the DNS record. If it is gone, a verified domain becomes unverified.
 *
 * @throws emailDomainNotFound, domainNotProven, dnsUnavailable
 */
export async function verifyEmailDomain(
  { control, dns }: Platform,
  tenantId: TenantId,
  raw: string,
) {
  const domain = canonicalHost(raw);
  const row = (await findRows(control, tenantId)).find((one) => one.domain === domain);
  if (!row) throw emailDomainNotFound();
  const proven = await isProven(dns, domain, row.token);
  const changed = await control
    .updateTable("control.email_domains")
    .set({ proven_at: proven ? new Date() : null })
    .where("tenant_id", "=", tenantId)
    .where("domain", "=", domain)
    .returning(columns)
    .executeTakeFirst();
  if (!changed) throw emailDomainNotFound();
  if (!proven) throw notProven(domain, row.token);
  return viewOf(changed);
}

/** Removes a domain. Users who joined by it stay. @throws emailDomainNotFound */
export async function removeEmailDomain(
  { control }: Platform,
  tenantId: TenantId,
  raw: string,
): Promise<void> {
  const { numDeletedRows } = await control
    .deleteFrom("control.email_domains")
    .where("tenant_id", "=", tenantId)
    .where("domain", "=", canonicalHost(raw))
    .executeTakeFirst();
  if (numDeletedRows === 0n) throw emailDomainNotFound();
}

/** Whether the e-mail is in one of the tenant's verified domains. */
export async function isDomainOf(
  control: Kysely<ControlTables>,
  { id }: Tenant,
  email: string,
): Promise<boolean> {
  const found = await control
    .selectFrom("control.email_domains")
    .select("domain")
    .where("tenant_id", "=", id)
    .where("domain", "=", domainOf(email))
    .where("proven_at", "is not", null)
    .executeTakeFirst();
  return found !== undefined;
}

/**
 * The active tenants that an account may join by its verified e-mail and is not yet a member of.
 */
export const listJoinable = (
  control: Kysely<ControlTables>,
  account: { readonly id: AccountId; readonly email: string },
) =>
  control
    .selectFrom("control.email_domains as d")
    .innerJoin("control.tenants as t", "t.id", "d.tenant_id")
    .select(["t.id", "t.key", "t.slug", "t.number", "t.name", "d.domain", "d.role"])
    .where("d.domain", "=", domainOf(account.email))
    .where("d.proven_at", "is not", null)
    .where("t.status", "=", "active")
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("control.memberships as m")
            .select("m.user_id")
            .whereRef("m.tenant_id", "=", "t.id")
            .where("m.account_id", "=", account.id),
        ),
      ),
    )
    .orderBy("t.number")
    // A bound for the response, far above any realistic number.
    .limit(1_000)
    .execute();

/**
 * Makes an account with a verified e-mail in one of the tenant's domains a user of the tenant.
 *
 * @throws tenantNotFound if the tenant does not exist or the account may not join it;
 * alreadyMember;
 *   domainNotProven if the DNS lacks the record; dnsUnavailable
 */
export async function joinByEmail(
  platform: Platform,
  account: CorePrincipal,
  reference: string,
): Promise<{ tenant: Tenant; userId: UserId; role: JoinRole }> {
  const { control, dns, tenants } = platform;
  const tenant = await tenants.get(reference);
  const found = await control
    .selectFrom("control.accounts as a")
    .innerJoin("control.email_domains as d", (join) => join.on("d.tenant_id", "=", tenant.id))
    .select(["a.email", "d.domain", "d.token", "d.role"])
    .where("a.id", "=", account.id)
    .where("a.is_active", "=", true)
    .where("a.email_verified", "=", true)
    .where("d.proven_at", "is not", null)
    .execute();
  const by = found.find(({ email, domain }) => domainOf(email) === domain);
  if (!by || tenant.status !== "active") throw tenantNotFound();
  // Don't reveal the expected record: it concerns the owners only.
  if (!(await isProven(dns, by.domain, by.token))) throw domainNotProven();
  const userId = await linkAccount(platform, tenant, account, by.role);
  if (!userId) throw alreadyMember();
  return { tenant, userId, role: by.role };
}

const domainOf = (email: string): string => email.slice(email.lastIndexOf("@") + 1);
