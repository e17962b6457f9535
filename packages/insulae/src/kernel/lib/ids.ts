/** A tenant's id: a uuid (v7), never reused. Branded, so that no other id can be passed for it. */
export type TenantId = string & { readonly __brand: "TenantId" };

/** A user's id within one tenant: a uuid (v7). */
export type UserId = string & { readonly __brand: "UserId" };

/** An account's id: a uuid (v7) of the control plane. */
export type AccountId = string & { readonly __brand: "AccountId" };
