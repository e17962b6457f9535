export const quotaNames = [
  "users",
  "rows",
  "storage_bytes",
  "requests_per_day",
  "notifications_per_day",
  "jobs_per_day",
] as const;
export type QuotaName = (typeof quotaNames)[number];

/** A tenant's quotas: amounts, or uses per day (UTC). Absent or 0: no limit. */
export type Quotas = { readonly [Name in QuotaName]?: number };

/** The defaults by plan. */
const usual: Readonly<Record<string, Quotas>> = {
  free: {
    users: 10,
    rows: 10_000,
    storage_bytes: 1_000_000_000,
    notifications_per_day: 200,
    jobs_per_day: 1_000,
  },
  standard: {
    users: 200,
    rows: 1_000_000,
    storage_bytes: 100_000_000_000,
    notifications_per_day: 20_000,
    jobs_per_day: 100_000,
  },
  premium: { storage_bytes: 5_000_000_000_000 },
};

/** The default quotas of each plan, overridden by `own`. @param own by plan */
export const quotasByPlan = (
  own: Readonly<Record<string, Quotas>>,
): Readonly<Record<string, Quotas>> =>
  Object.fromEntries(
    Object.keys({ ...usual, ...own }).map((plan) => [plan, { ...usual[plan], ...own[plan] }]),
  );
