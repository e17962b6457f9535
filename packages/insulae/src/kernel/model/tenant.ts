import { type Isolation, isolations } from "../../config/isolations.ts";
import type { AccountId, TenantId } from "../lib/ids.ts";
import type { HostSettings } from "./host-settings.ts";

export { type Isolation, isolations };

/** Where a tenant's rows are: a schema in a database on a server, for all three isolations. */
export interface Placement {
  readonly id: string;
  readonly serverId: string;
  readonly database: string;
  readonly schema: string;
  readonly isolation: Isolation;
  /** The role that uses a tenant's own schema; undefined where the login itself does. */
  readonly role: string | undefined;
  /** The number of data-plane migrations applied to it. */
  readonly version: number;
}

export type TenantStatus = "provisioning" | "active" | "suspended" | "deleted";

export type Plan = string;

/** A tenant, one customer of the platform, as cached in the catalogue. */
export interface Tenant {
  readonly id: TenantId;
  readonly key: string;
  readonly slug: string;
  readonly number: number;
  readonly name: string;
  readonly status: TenantStatus;
  readonly plan: Plan;
  readonly hosts: readonly string[];
  /** Settings by host; absent if no host has any. */
  readonly hostSettings?: ReadonlyMap<string, HostSettings>;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly ownerAccountId: AccountId | undefined;
  readonly placement: Placement;
  /** It is being moved to another placement. */
  readonly isMoving?: true;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** Of a deleted tenant whose rows are still there. */
  readonly deletion?: { readonly deletedAt: Date; readonly eraseAt: Date };
}
