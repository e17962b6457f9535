/** What somebody may do about their own sessions: see them, end one, end all. */
import type { SessionCredential } from "../../kernel/auth/credential.ts";
import type { Principal } from "../../kernel/auth/principal.ts";
import type { SessionOwner, SessionRow } from "../../kernel/auth/sessions.ts";
import { defineError } from "../../kernel/errors.ts";
import type { Page } from "../../kernel/http/page.ts";
import type { Platform } from "../../kernel/platform.ts";
import type { Tenant } from "../../kernel/tenancy/tenant.ts";
import { endUserSessions, type UserTables } from "../users/users.feature.ts";
import { endAccountSessions, findAccountOfUser } from "./accounts.queries.ts";

export const sessionNotFound = defineError("session_not_found", 404, "There is no such session");

const ownerOf = (principal: Principal): SessionOwner & { readonly epoch: string } => ({
  tenantId: principal.kind === "tenant" ? principal.tenantId : undefined,
  subjectId: principal.id,
  epoch: principal.epoch,
});

export async function listOwnSessions(
  { sessions }: Platform,
  principal: Principal,
  credential: SessionCredential,
  { limit, after, cursor }: Page,
) {
  const owner = ownerOf(principal);
  const found = await sessions.list(owner, { limit: limit + 1, before: after[0] });
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map((row) => viewOf(row, credential)),
    next_cursor: last && found.length > limit ? cursor.encode([last.id]) : null,
  };
}

const viewOf = ({ impersonator_id, ...session }: SessionRow, { sessionId }: SessionCredential) => ({
  ...session,
  current: session.id === sessionId,
  impersonated: impersonator_id !== null,
});

/** @throws sessionNotFound, for somebody else's as for one that does not exist */
export async function endOwnSession(
  { sessions }: Platform,
  principal: Principal,
  id: string,
): Promise<void> {
  if (!(await sessions.end(id.toLowerCase(), ownerOf(principal)))) throw sessionNotFound();
}

/**
 * Ends all sessions of the person: a user's, or those of an account in the core and in all its
 * tenants, which for a user who is linked to one is the account.
 */
export async function endAllSessions(
  { control, authority, withTenant, forgetUser }: Platform,
  principal: Principal,
  tenant: Tenant | undefined,
): Promise<void> {
  const account =
    principal.kind === "core"
      ? principal
      : await findAccountOfUser(control, principal.tenantId, principal.id);
  if (account) {
    await endAccountSessions(control, account.id);
    authority.forgetAccount(account.id);
  } else if (principal.kind === "tenant" && tenant) {
    await withTenant<UserTables, unknown>(tenant, ({ db }) => endUserSessions(db, principal.id));
    await forgetUser(tenant, principal.id);
  }
}
