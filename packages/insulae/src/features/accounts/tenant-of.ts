import type { Platform } from "../../kernel/feature/platform.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { tenantAccessDenied, tenantNotFound } from "../../kernel/tenancy/errors.ts";

/**
 * The tenant of a sign-up, log-in or e-mail request. A tenant named in the body only selects: it
 * must agree with the host, header and token; null selects the platform.
 */
export async function tenantOf(
  { tenants }: Platform,
  known: Tenant | undefined,
  reference: string | null | undefined,
): Promise<Tenant | undefined> {
  if (reference === undefined) return known;
  if (reference === null) {
    if (known) throw tenantAccessDenied();
    return undefined;
  }
  const selected = await tenants.find(reference);
  if (known && selected?.id !== known.id) throw tenantAccessDenied();
  // Don't reveal to unauthenticated callers that a tenant is suspended.
  if (selected?.status !== "active") throw tenantNotFound();
  return selected;
}
