/**
 * Impersonation: a platform administrator acts as a user of a tenant, to see what they see. It is a
 * session like any other, except that it ends within an hour, its tokens name the administrator
 * (`act`, RFC 8693, section 4.1), and the tenant sees it in its audit log and in a list of its own.
 * Every request checks that the administrator still is one.
 */
import { type Kysely, type SqlBool, sql } from "kysely";
import type { TenantAudit } from "../../kernel/audit/audit.ts";
import type { RequestInfo } from "../../kernel/feature/feature.ts";
import type { Page } from "../../kernel/feature/page.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { SessionCredential } from "../../kernel/identity/credential.ts";
import { invalidToken } from "../../kernel/identity/errors.ts";
import type { CorePrincipal } from "../../kernel/identity/principal.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { TenantId, UserId } from "../../kernel/lib/ids.ts";
import { hasSecondFactor } from "../../kernel/model/authentication-methods.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import { tenantInactive } from "../../kernel/tenancy/errors.ts";
import {
  administratorNeedsFactor,
  findUserSubject,
  replyFor,
  signIn,
} from "../accounts/accounts.feature.ts";
import { findNames, listPeople, type UserTables, userNotFound } from "../users/users.feature.ts";

export const impersonationNotFound = defineError(
  "impersonation_not_found",
  404,
  "There is no such impersonation",
);
export const impersonationOver = defineError(
  "impersonation_over",
  409,
  "This impersonation has ended. Start another.",
);

type Control = Kysely<ControlTables>;

interface ImpersonationDeps {
  readonly platform: Platform;
  readonly audit: TenantAudit;
}

export interface NewImpersonation {
  /** The tenant's id, key, slug or number. */
  readonly tenant: string;
  readonly user_id: string;
  readonly reason: string;
  readonly minutes: number;
}

/**
 * Does not ask for the user's factors. If the tenant requires a second factor, the administrator
 * must have proved their own.
 *
 * @throws tenantNotFound, tenantInactive, userNotFound (also for an inactive user)
 * @throws administratorNeedsFactor
 */
export async function startImpersonation(
  { platform, audit, request }: ImpersonationDeps & { readonly request: RequestInfo },
  administrator: CorePrincipal,
  credential: SessionCredential,
  { tenant: reference, user_id, reason, minutes }: NewImpersonation,
) {
  const tenant = await platform.tenants.get(reference);
  if (tenant.status !== "active") throw tenantInactive();
  // The id is the client's text; the query finds out whether it is a user's.
  const subject = await findUserSubject(platform, tenant, user_id as UserId);
  if (!subject) throw userNotFound();
  const lifetimeSeconds = minutes * 60;
  const proof = await platform.sessions.findProof(credential.sessionId);
  if (!proof) throw invalidToken();
  const reply = await signIn({ platform, request }, subject, {
    ...proof,
    impersonator: administrator.id,
    lifetimeSeconds,
  });
  if (!reply.access_token) throw new Error("an impersonation must use tokens");
  const { sessionId: id } = await platform.tokens.verify(reply.access_token);
  const { ends_at } = await platform.control
    .insertInto("control.impersonations")
    .values({
      id,
      tenant_id: tenant.id,
      user_id: subject.user.id,
      administrator_id: administrator.id,
      reason,
      ends_at: sql<Date>`(select expires_at from control.sessions where id = ${id})`,
    })
    .returning("ends_at")
    .executeTakeFirstOrThrow();
  const event = {
    action: "impersonation.started",
    target: { type: "user", id: subject.user.id },
    detail: { impersonation_id: id, tenant_id: tenant.id, reason, minutes },
  } as const;
  // Both logs have the entry before the administrator gets the token.
  await audit({ ...event, tenant });
  await audit({ ...event, tenant: null });
  return { ...reply, id, ends_at };
}

/**
 * The users of a tenant, for choosing whom to impersonate. Under the same conditions: in a tenant that requires a
 * second factor, the administrator must have proved their own. Both audit logs have it before the answer.
 *
 * @throws tenantNotFound, tenantInactive, administratorNeedsFactor
 */
export async function listPeopleOf(
  { platform, audit, credential }: ImpersonationDeps & { readonly credential: SessionCredential },
  reference: string,
  wanted: { readonly q?: string; readonly is_active?: boolean },
  page: Page,
): Promise<People> {
  const tenant = await platform.tenants.get(reference);
  if (tenant.status !== "active") throw tenantInactive();
  const proof = await platform.sessions.findProof(credential.sessionId);
  if (!proof) throw invalidToken();
  if (tenant.settings.second_factor === "required" && !hasSecondFactor(proof.amr)) {
    throw administratorNeedsFactor();
  }
  const event = {
    action: "tenant.users_listed",
    target: { type: "tenant", id: tenant.id },
    detail: { searched: wanted.q !== undefined },
  } as const;
  await audit({ ...event, tenant });
  await audit({ ...event, tenant: null });
  return platform.withTenant<UserTables, People>(tenant, ({ db }) => listPeople(db, wanted, page));
}

type People = Awaited<ReturnType<typeof listPeople>>;

/**
 * Issues another access token to the administrator who began the impersonation, until it ends: an
 * access token is shorter-lived than the impersonation.
 *
 * @throws impersonationNotFound, impersonationOver
 */
export async function renewImpersonation(
  platform: Platform,
  administrator: CorePrincipal,
  id: string,
) {
  const session = await platform.control
    .selectFrom("control.sessions")
    .select(["id", "tenant_id", "subject_id", "epoch", "amr", "expires_at"])
    .where("id", "=", id)
    .where("impersonator_id", "=", administrator.id)
    .executeTakeFirst();
  if (!session?.tenant_id) throw impersonationNotFound();
  const tenant = await platform.tenants.get(session.tenant_id);
  const subject =
    tenant.status === "active" &&
    (await findUserSubject(platform, tenant, session.subject_id as UserId)); // it has a tenant
  const over = !subject || subject.epoch !== session.epoch;
  if (over || !(await platform.sessions.findProof(id))) throw impersonationOver();
  const { epoch, amr, expires_at: expiresAt } = session;
  const reply = await replyFor({ platform }, subject, {
    id,
    epoch,
    amr,
    expiresAt,
    refreshToken: undefined,
    impersonator: administrator.id,
  });
  return { ...reply, id, ends_at: expiresAt };
}

/**
 * Ends an impersonation early, on every node. Does nothing if it has ended already.
 *
 * @param tenantId find it only in this tenant
 * @throws impersonationNotFound
 */
export async function endImpersonation(
  { platform, audit }: ImpersonationDeps,
  id: string,
  tenantId?: TenantId,
): Promise<void> {
  const found = await selectImpersonations(platform.control, tenantId)
    .where("i.id", "=", id)
    .executeTakeFirst();
  if (!found) throw impersonationNotFound();
  const tenant = await platform.tenants.get(found.tenant_id);
  await platform.sessions.end(id);
  const event = {
    action: "impersonation.ended",
    target: { type: "user", id: found.user_id },
    detail: { impersonation_id: id, tenant_id: tenant.id },
  } as const;
  await audit({ ...event, tenant });
  await audit({ ...event, tenant: null });
}

export interface WantedImpersonations {
  /** Only those in this tenant. */
  readonly tenantId?: TenantId | undefined;
  /** Only those that are running, or only those that are over. */
  readonly active?: boolean | undefined;
}

/** One page, newest first, with the users' names as they are now. */
export async function pageOfImpersonations(
  platform: Platform,
  { limit, after: [after], cursor }: Page,
  { tenantId, active }: WantedImpersonations,
) {
  let all = selectImpersonations(platform.control, tenantId);
  if (active !== undefined) all = all.where(active ? isRunning : sql<SqlBool>`not (${isRunning})`);
  const found = await (after === undefined ? all : all.where("i.id", "<", after))
    .orderBy("i.id", "desc")
    .limit(limit + 1)
    .execute();
  const items = found.slice(0, limit);
  const last = items.at(-1);
  const people = await findPeopleIn(platform, items);
  return {
    items: items.map((item) => ({ ...item, ...(people.get(item.user_id) ?? nobody) })),
    next_cursor: last && found.length > limit ? cursor.encode([last.id]) : null,
  };
}

const isRunning = sql<SqlBool>`i.ended_at is null and i.ends_at > now()`;

const nobody = { user_name: null, user_email: null };

/** Users by id, one query for each tenant. Those that are gone or out of reach are left out. */
async function findPeopleIn(
  { tenants, withTenant }: Platform,
  items: readonly { readonly tenant_id: TenantId; readonly user_id: UserId }[],
) {
  const byTenant = [...Map.groupBy(items, ({ tenant_id }) => tenant_id)];
  const asked = byTenant.map(async ([tenantId, those]) => {
    const tenant = await tenants.find(tenantId);
    if (!tenant) return [];
    type Names = Awaited<ReturnType<typeof findNames>>;
    const ids = those.map(({ user_id }) => user_id);
    return withTenant<UserTables, Names>(tenant, ({ db }) => findNames(db, ids));
  });
  const found = await Promise.allSettled(asked);
  const names = found.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
  return new Map(
    names.map(({ id, first_name, last_name, email }) => [
      id,
      { user_name: `${first_name} ${last_name}`.trim() || null, user_email: email },
    ]),
  );
}

const selectImpersonations = (control: Control, tenantId: TenantId | undefined) => {
  const all = control
    .selectFrom("control.impersonations as i")
    .innerJoin("control.accounts as a", "a.id", "i.administrator_id")
    .select(["i.id", "i.tenant_id", "i.user_id", "i.administrator_id", "i.reason"])
    .select(["a.email as administrator_email", "i.created_at", "i.ends_at", "i.ended_at"]);
  return tenantId === undefined ? all : all.where("i.tenant_id", "=", tenantId);
};
