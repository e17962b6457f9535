import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams } from "../../kernel/feature/fields.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { wrongContext } from "../../kernel/identity/errors.ts";
import type { Subject as Owner } from "../../kernel/identity/subject.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { AccountId } from "../../kernel/lib/ids.ts";
import { endSessionsOf, findSubject, findUserSubject } from "../accounts/accounts.feature.ts";
import {
  asId,
  lockInferior,
  permissionNotHeld,
  roleAboveOwn,
  type UserTables,
  userNotFound,
} from "../users/users.feature.ts";
import { reauthenticationRequired, requireFreshProof } from "./own-factors.ts";
import { notifyOfFactors } from "./tell.ts";

export const accountNotFound = defineError("account_not_found", 404, "There is no such account");
export const factorsOfAccount = defineError(
  "factors_of_account",
  409,
  "This user signs in with an account. Ask a platform administrator to reset the account's factors.",
);

/** Removes all factors of somebody who has lost them. */
async function reset(platform: Platform, owner: Owner): Promise<void> {
  await platform.factors.reset(owner);
  await endSessionsOf(platform, owner);
  await notifyOfFactors(platform, owner, "factors_reset");
}

export const resetRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.delete(
    "/users/:id/factors",
    {
      permission: "users:write",
      context: "any",
      personal: true,
      audit: "factors.reset",
      summary: "Removes all second factors of a user and ends their sessions",
      description:
        "For users with a password of their own, who have lost their factors. The caller's role must not be lower than the user's.",
      params: idParams,
      response: { 204: null },
      errors: [
        userNotFound,
        roleAboveOwn,
        permissionNotHeld,
        factorsOfAccount,
        reauthenticationRequired,
      ],
    },
    async ({ platform, user, tenant, credential, permissions, params, audit }) => {
      if (user.kind !== "tenant" || !tenant || !("sessionId" in credential)) throw wrongContext();
      await requireFreshProof({ platform, credential });
      const id = asId(params.id);
      await platform.withTenant<UserTables, void>(tenant, ({ db }) =>
        db.transaction().execute((tx) => lockInferior({ db: tx, permissions, user }, id)),
      );
      const subject = await findUserSubject(platform, tenant, id);
      if (!subject) throw userNotFound();
      if (subject.accountId !== null) throw factorsOfAccount();
      await reset(platform, { tenantId: tenant.id, id });
      await audit({ action: "factors.reset", target: { type: "user", id } });
    },
  ),

  r.delete(
    "/accounts/:id/factors",
    {
      permission: "platform",
      context: "core",
      audit: "factors.reset",
      summary: "Removes all second factors of an account and ends its sessions",
      params: idParams,
      response: { 204: null },
      errors: [accountNotFound, reauthenticationRequired],
    },
    async ({ platform, credential, params, audit }) => {
      await requireFreshProof({ platform, credential });
      // The id is the client's text; the query finds out whether it is an account's.
      const owner = { tenantId: null, id: params.id as AccountId };
      if (!(await findSubject(platform, owner))) throw accountNotFound();
      await reset(platform, owner);
      await audit({ action: "factors.reset", target: { type: "account", id: owner.id } });
    },
  ),
];
