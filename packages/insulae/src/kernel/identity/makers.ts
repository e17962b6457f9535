/**
 * Whoever creates something that keeps running without them (a webhook) remains responsible for it:
 * it has their current permissions, and none once they, or the key they used, are gone.
 */
import { type Kysely, sql } from "kysely";
import type { UserId } from "../lib/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Authority } from "./authority.ts";
import type { Credential } from "./credential.ts";

/** A user, and the machine credential they used, which may restrict them. */
export interface Maker {
  readonly userId: UserId;
  readonly apiKeyId: string | null;
  readonly certificateId: string | null;
}

/** The caller, as the maker of what they create. */
export const makerOf = ({ id }: { readonly id: UserId }, credential: Credential): Maker => ({
  userId: id,
  apiKeyId: credential.kind === "api_key" ? credential.keyId : null,
  certificateId: credential.kind === "certificate" ? credential.certificateId : null,
});

/** The maker's current permissions; undefined: they, or their credential, are gone. */
export async function permissionsOfMaker(
  {
    authority,
    control,
  }: { readonly authority: Authority; readonly control: Kysely<ControlTables> },
  tenant: Tenant,
  { userId, apiKeyId, certificateId }: Maker,
): Promise<ReadonlySet<string> | undefined> {
  if (apiKeyId !== null)
    return (await authority.findHolderOfKey(tenant, userId, apiKeyId))?.permissions;
  const user = await authority.findUser(tenant, userId);
  if (!user || certificateId === null) return user?.permissions;
  const certificate = await control
    .selectFrom("control.client_certificates")
    .select("scopes")
    .where("id", "=", certificateId)
    .where("tenant_id", "=", tenant.id)
    .where("user_id", "=", userId)
    .where("not_after", ">", sql<Date>`now()`)
    .executeTakeFirst();
  return certificate && new Set(certificate.scopes.filter((one) => user.permissions.has(one)));
}
