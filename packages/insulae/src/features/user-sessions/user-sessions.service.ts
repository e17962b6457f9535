import type { Page } from "../../kernel/feature/page.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { Permissions } from "../../kernel/identity/permissions.ts";
import type { TenantPrincipal } from "../../kernel/identity/principal.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { endSessionsOf, findUserSubject, listSessionsOf } from "../accounts/accounts.feature.ts";
import {
  asId,
  findSignInTraces,
  findUser,
  lockInferior,
  type UserTables,
  userNotFound,
} from "../users/users.feature.ts";
import { findFactorOwners, findLastUses } from "./user-sessions.queries.ts";

/** Of those ids that are users of the tenant. Reads of each person, whichever tenants they are in, no more. */
export async function describeSignIns(
  { control, withTenant }: Platform,
  tenant: Tenant,
  ids: readonly string[],
) {
  type Traces = Awaited<ReturnType<typeof findSignInTraces>>;
  const users = await withTenant<UserTables, Traces>(tenant, ({ db }) => findSignInTraces(db, ids));
  const [lastUses, withFactor] = await Promise.all([
    findLastUses(control, tenant.id, users),
    findFactorOwners(control, tenant.id, users),
  ]);
  return users.map(({ id, accountId, at }) => ({
    user_id: id,
    linked: accountId !== null,
    has_factor: withFactor.has(accountId ?? id),
    last_seen_at: latest(at, lastUses.get(id)),
  }));
}

const latest = (...times: readonly (Date | null | undefined)[]): Date | null =>
  times.reduce<Date | null>((last, time) => (time && (!last || time > last) ? time : last), null);

/** @throws userNotFound */
export async function listSessions(
  platform: Platform,
  tenant: Tenant,
  userId: string,
  page: Page,
  current: string | undefined,
) {
  const id = asId(userId);
  const subject = await findUserSubject(platform, tenant, id);
  if (subject) {
    const owner = { tenantId: tenant.id, subjectId: id, epoch: subject.epoch };
    return listSessionsOf(platform, owner, page, current);
  }
  // Whoever is inactive has no sessions.
  const user = await platform.withTenant<UserTables, unknown>(tenant, ({ db }) =>
    findUser.first(db, { id }),
  );
  if (!user) throw userNotFound();
  return { items: [], next_cursor: null };
}

interface Setting {
  readonly platform: Platform;
  readonly tenant: Tenant;
  readonly user: TenantPrincipal;
  readonly permissions: Permissions;
}

/** @throws userNotFound, roleAboveOwn, permissionNotHeld */
export async function endSessions(
  { platform, tenant, user, permissions }: Setting,
  userId: string,
): Promise<void> {
  const id = asId(userId);
  await platform.withTenant<UserTables, void>(tenant, ({ db }) =>
    db.transaction().execute((tx) => lockInferior({ db: tx, permissions, user }, id)),
  );
  await endSessionsOf(platform, { tenantId: tenant.id, id });
}
