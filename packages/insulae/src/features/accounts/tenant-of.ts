import type { Platform } from "../../kernel/feature/platform.ts";
import { tenantAccessDenied, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import type { Tenant } from "../../kernel/tenancy/tenant.ts";

/**
 * The tenant that a sign-up, a log-in or a mail is for. One that the body names only selects: it has to
 * agree with what host, header or token say.
 */
export async function tenantOf(
  { tenants }: Platform,
  known: Tenant | undefined,
  reference: string | undefined,
): Promise<Tenant | undefined> {
  if (reference === undefined) return known;
  const selected = await tenants.find(reference);
  if (known && selected?.id !== known.id) throw tenantAccessDenied();
  // Strangers are not told that a tenant is suspended.
  if (selected?.status !== "active") throw tenantNotFound();
  return selected;
}
