/** From weakest to strongest. */
export const isolations = ["pool", "schema", "database"] as const;

/** How strongly a tenant's rows are separated from others'. */
export type Isolation = (typeof isolations)[number];
