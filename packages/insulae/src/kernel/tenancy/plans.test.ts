import { expect, test } from "vitest";
import type { Tenant } from "../model/tenant.ts";
import { createPlans } from "./plans.ts";

const plans = createPlans({ free: { users: 3, rows: 100 }, gold: { users: 0, rows: 500 } });

/** The two members of a tenant that determine its quotas. */
const tenant = (plan: string, settings: object = {}) => ({ plan, settings }) as unknown as Tenant;

test("a tenant has its plan's quotas, or those of `free` if the plan is unknown", () => {
  expect(plans.quotaOf(tenant("free"), "users")).toBe(3);
  expect(plans.quotaOf(tenant("gold"), "rows")).toBe(500);
  for (const plan of ["silver", "constructor", "__proto__", ""]) {
    expect(plans.quotasOf(tenant(plan))).toEqual({ users: 3, rows: 100 });
  }
});

test("a quota that is 0 or missing is unlimited", () => {
  expect(plans.quotaOf(tenant("gold"), "users")).toBeUndefined();
  expect(plans.quotaOf(tenant("free"), "storage_bytes")).toBeUndefined();
});

test("a tenant's own limit overrides its plan's, in both directions", () => {
  const limits = { users: 20, rows: 0, storage_bytes: 7.9, requests_per_minute: 5 };
  expect(plans.quotasOf(tenant("free", { limits }))).toEqual({ users: 20, storage_bytes: 7 });
});

test.each([[null], ["5"], [[]], [{ users: "5" }], [{ users: -1 }], [{ users: null }]])(
  "invalid limits, such as %j, have no effect",
  (limits) => {
    expect(plans.quotaOf(tenant("free", { limits }), "users")).toBe(3);
  },
);
