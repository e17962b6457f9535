/** Lists and ends sessions, mostly the caller's own. */

import type { Page } from "../../kernel/feature/page.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { SessionCredential } from "../../kernel/identity/credential.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import type { SessionOwner, SessionRow } from "../../kernel/identity/sessions.ts";
import type { Subject } from "../../kernel/identity/subject.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { endUserSessions, type UserTables } from "../users/users.feature.ts";
import { endAccountSessions, findAccountOfUser } from "./accounts.queries.ts";

export const sessionNotFound = defineError(
  "session_not_found",
  404,
  "You have no session with this id",
);

const ownerOf = (principal: Principal): SessionOwner & { readonly epoch: string } => ({
  tenantId: principal.kind === "tenant" ? principal.tenantId : undefined,
  subjectId: principal.id,
  epoch: principal.epoch,
});

export const listOwnSessions = (
  platform: Platform,
  principal: Principal,
  { sessionId }: SessionCredential,
  page: Page,
) => listSessionsOf(platform, ownerOf(principal), page, sessionId);

/** Somebody's open sessions, newest first. @param current the id of the session that the request uses */
export async function listSessionsOf(
  { sessions }: Platform,
  owner: SessionOwner & { readonly epoch: string },
  { limit, after, cursor }: Page,
  current?: string,
) {
  const found = await sessions.list(owner, { limit: limit + 1, before: after[0] });
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map((row) => viewOf(row, current)),
    next_cursor: last && found.length > limit ? cursor.encode([last.id]) : null,
  };
}

const viewOf = ({ impersonator_id, ...session }: SessionRow, current: string | undefined) => ({
  ...session,
  current: session.id === current,
  impersonated: impersonator_id !== null,
});

/** @throws sessionNotFound if the session does not exist or belongs to somebody else */
export async function endOwnSession(
  { sessions }: Platform,
  principal: Principal,
  id: string,
): Promise<void> {
  if (!(await sessions.end(id, ownerOf(principal)))) throw sessionNotFound();
}

/**
 * Ends all sessions of the caller. For an account, or a user linked to one, that is every session
 * of the account, at the platform and in all its tenants.
 */
export async function endAllSessions(platform: Platform, principal: Principal): Promise<void> {
  if (principal.kind === "core") {
    await endSessionsOf(platform, { tenantId: null, id: principal.id });
    return;
  }
  const { tenantId, id } = principal;
  const account = await findAccountOfUser(platform.control, tenantId, id);
  await endSessionsOf(platform, account ? { tenantId: null, id: account.id } : { tenantId, id });
}

/** Ends all sessions of an account and the users linked to it, or of one user. */
export async function endSessionsOf(
  { control, authority, withTenant, tenants, forgetUser }: Platform,
  { tenantId, id }: Subject,
): Promise<void> {
  if (tenantId === null) {
    await endAccountSessions(control, id);
    authority.forgetAccount(id);
    return;
  }
  const tenant = await tenants.get(tenantId);
  await withTenant<UserTables, unknown>(tenant, ({ db }) => endUserSessions(db, id));
  await forgetUser(tenant, id);
}
