/** From the nearest to the farthest. */
export const isolations = ["pool", "schema", "database"] as const;

/** How far a tenant's rows are from other tenants' rows. */
export type Isolation = (typeof isolations)[number];
