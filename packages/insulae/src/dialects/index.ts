import type { Feature } from "../kernel/feature/feature.ts";
import { addressBook } from "./address-book.ts";
import { coreOrganizations } from "./core-organizations.ts";
import { hostRouting } from "./host-routing.ts";
import { masterTenant } from "./master-tenant.ts";
import { sharedPaths } from "./shared-paths.ts";

/** The APIs of other systems, served from the same data. */
export const dialects: readonly Feature[] = [
  masterTenant,
  addressBook,
  hostRouting,
  coreOrganizations,
  sharedPaths,
];
