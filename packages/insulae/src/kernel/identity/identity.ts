import type { Tenant } from "../model/tenant.ts";
import type { Credential } from "./credential.ts";
import type { Principal } from "./principal.ts";

/** Who calls, and for which tenant. */
export interface Identity {
  readonly tenant: Tenant | undefined;
  readonly user: Principal | undefined;
  /** How they proved who they are; there if and only if `user` is. */
  readonly credential: Credential | undefined;
  /** A stranger named a tenant that there is not; see `unknownTenant` of a route. */
  readonly isUnknownTenant?: boolean;
}
