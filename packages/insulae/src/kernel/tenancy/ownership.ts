import type { Transaction } from "kysely";
import { defineError } from "../lib/errors.ts";
import type { AccountId } from "../lib/ids.ts";
import type { ControlTables } from "../schema/control-tables.ts";

export const tooManyTenants = defineError(
  "too_many_tenants",
  409,
  "The account owns the maximum number of tenants. Delete one, or ask a platform administrator.",
);

/**
 * Refuses a further tenant if the account owns the maximum. Locks the account's row until the
 * transaction ends, so that concurrent requests can't exceed it.
 *
 * @param limit the maximum; 0: no limit
 * @throws tooManyTenants
 */
export async function refuseBeyond(
  tx: Transaction<ControlTables>,
  account: AccountId,
  limit: number,
): Promise<void> {
  if (limit === 0) return;
  await tx
    .selectFrom("control.accounts")
    .select("id")
    .where("id", "=", account)
    .forNoKeyUpdate()
    .execute();
  const { count } = await tx
    .selectFrom("control.tenants")
    .select((eb) => eb.fn.countAll<string>().as("count"))
    .where("owner_account_id", "=", account)
    .where("status", "<>", "deleted")
    .executeTakeFirstOrThrow();
  if (Number(count) < limit) return;
  throw tooManyTenants({
    detail: `An account can own at most ${limit} tenants (TENANTS_PER_ACCOUNT). Delete one, or ask a platform administrator to create more for the account.`,
    members: { limit },
  });
}
