import type { Page } from "../../kernel/feature/page.ts";
import { fitting } from "../../kernel/feature/page.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { epochOf } from "../../kernel/identity/authority.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { AccountId } from "../../kernel/lib/ids.ts";
import { emailNotVerified } from "../accounts/accounts.feature.ts";
import { accountNotFound } from "../factors/factors.feature.ts";
import { isVerificationRequired } from "../users/users.feature.ts";
import {
  findAccount,
  listAccounts,
  listMemberships,
  lockAdministrators,
  setAccount,
  type WantedAccounts,
} from "./platform-accounts.queries.ts";

export const lastAdministrator = defineError(
  "last_administrator",
  409,
  "This is the last active platform administrator. Make another account one first.",
);
export const accountInactive = defineError(
  "account_inactive",
  409,
  "The account is not active. Activate it first.",
);

/** How many of an account's memberships and sessions are shown. */
const mostShown = 100;

export async function pageOfAccounts(
  { control }: Platform,
  wanted: WantedAccounts,
  { limit, after: [after], cursor }: Page,
) {
  const found = await listAccounts(control, wanted, { after, limit: limit + 1 });
  const items = fitting(found.slice(0, limit));
  const last = items.at(-1);
  return {
    items,
    next_cursor: last && found.length > items.length ? cursor.encode([last.id]) : null,
  };
}

/** @throws accountNotFound */
export async function showAccount({ control, factors, sessions }: Platform, id: AccountId) {
  const account = await getAccount(control, id);
  const { sessions_valid_from: validFrom, ...shown } = account;
  const owner = { tenantId: undefined, subjectId: id, epoch: epochOf(validFrom) };
  const [memberships, ownFactors, open] = await Promise.all([
    listMemberships(control, id, mostShown),
    factors.list({ tenantId: null, id }),
    // An account that is not active has none.
    account.is_active ? sessions.list(owner, { limit: mostShown, before: undefined }) : [],
  ]);
  return {
    ...shown,
    memberships,
    factors: ownFactors.map(({ id, kind, name, created_at, last_used_at }) => ({
      ...{ id, kind, name, created_at, last_used_at },
    })),
    sessions: open.map(({ impersonator_id: _, ...session }) => session),
  };
}

/**
 * Activates or deactivates an account. Deactivating ends its sessions everywhere.
 *
 * @throws accountNotFound, lastAdministrator
 */
export async function setActive(platform: Platform, id: AccountId, active: boolean): Promise<void> {
  await platform.control.transaction().execute(async (tx) => {
    if (!active) refuseLast(await lockAdministrators(tx), id);
    await getAccount(tx, id);
    await setAccount(tx, id, { is_active: active });
  });
  platform.authority.forgetAccount(id);
}

/**
 * Makes an account a platform administrator.
 *
 * @throws accountNotFound, accountInactive, emailNotVerified where e-mails must be verified
 */
export async function grantAdministration(platform: Platform, id: AccountId): Promise<void> {
  const account = await getAccount(platform.control, id);
  if (!account.is_active) throw accountInactive();
  if (isVerificationRequired(platform.config, undefined) && !account.email_verified) {
    throw emailNotVerified();
  }
  await setAccount(platform.control, id, { platform_admin: true });
  platform.authority.forgetAccount(id);
}

/** @throws accountNotFound, lastAdministrator */
export async function revokeAdministration(platform: Platform, id: AccountId): Promise<void> {
  await platform.control.transaction().execute(async (tx) => {
    refuseLast(await lockAdministrators(tx), id);
    await getAccount(tx, id);
    await setAccount(tx, id, { platform_admin: false });
  });
  platform.authority.forgetAccount(id);
}

/** @param administrators those that are active */
function refuseLast(administrators: readonly AccountId[], id: AccountId): void {
  if (administrators.includes(id) && administrators.length === 1) throw lastAdministrator();
}

/** @throws accountNotFound */
export async function getAccount(control: Platform["control"], id: AccountId) {
  const account = await findAccount(control, id);
  if (!account) throw accountNotFound();
  return account;
}
