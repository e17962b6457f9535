import { type Isolation, isolations } from "../../config/isolations.ts";
import type { HostSettings } from "./host-settings.ts";

/** A tenant's id: a uuid (v7), never reused. Branded, so that no other id can be passed for it. */
export type TenantId = string & { readonly __brand: "TenantId" };

/** A user's id within one tenant: a uuid (v7). */
export type UserId = string & { readonly __brand: "UserId" };

/** An account's id: a uuid (v7) of the control plane. */
export type AccountId = string & { readonly __brand: "AccountId" };

export { type Isolation, isolations };

/** Where rows are: a schema in a database on a server. The three isolations are kinds of it. */
export interface Placement {
  readonly id: string;
  readonly serverId: string;
  readonly database: string;
  readonly schema: string;
  readonly isolation: Isolation;
  /** The role that uses the schema, where it is the tenant's own; elsewhere the login does. */
  readonly role: string | undefined;
  /** The number of data-plane migrations that the placement has. */
  readonly version: number;
}

export type TenantStatus = "provisioning" | "active" | "suspended" | "deleted";

export type Plan = string;

/** One customer of the platform, as the catalogue knows it. */
export interface Tenant {
  readonly id: TenantId;
  readonly key: string;
  readonly slug: string;
  readonly number: number;
  readonly name: string;
  readonly status: TenantStatus;
  readonly plan: Plan;
  readonly hosts: readonly string[];
  /** By the host; absent where none of them has any. */
  readonly hostSettings?: ReadonlyMap<string, HostSettings>;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly ownerAccountId: AccountId | undefined;
  readonly placement: Placement;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}
