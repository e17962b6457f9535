import type { Tenant } from "../model/tenant.ts";
import type { Credential } from "./credential.ts";
import type { Principal } from "./principal.ts";

/** Who calls, and for which tenant. */
export interface Identity {
  readonly tenant: Tenant | undefined;
  readonly user: Principal | undefined;
  /** How they proved who they are; present if and only if `user` is. */
  readonly credential: Credential | undefined;
  /**
   * An unauthenticated request named a tenant that does not exist; see a route's `unknownTenant`.
   */
  readonly isUnknownTenant?: boolean;
}
