import type { AccountId, TenantId, UserId } from "../lib/ids.ts";

/** Who a request acts as, in the context where the credential is valid: a tenant, or the core. */
export type Principal = TenantPrincipal | CorePrincipal;

export interface TenantPrincipal {
  readonly kind: "tenant";
  readonly id: UserId;
  readonly tenantId: TenantId;
  readonly email: string;
  readonly role: string;
  readonly permissions: ReadonlySet<string>;
  /** Changes when all their sessions end; see authority.ts. */
  readonly epoch: string;
}

export interface CorePrincipal {
  readonly kind: "core";
  readonly id: AccountId;
  readonly email: string;
  readonly platformAdmin: boolean;
  /** As a user's. */
  readonly epoch: string;
}
