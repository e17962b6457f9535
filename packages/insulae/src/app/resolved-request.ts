import type { Platform } from "../kernel/feature/platform.ts";
import type { ResolvedRequest } from "../kernel/http/request/request-state.ts";
import type { Credential } from "../kernel/identity/credential.ts";
import type { Principal } from "../kernel/identity/principal.ts";
import type { Caller } from "../kernel/identity/resolution.ts";
import type { Tenant } from "../kernel/tenancy/tenant.ts";
import type { Installation } from "./installation.ts";

/**
 * Who asks, for which tenant, and that tenant's database. A class, since a getter in an object literal costs a hidden class for each object, which lives, and
 * with it all that the request holds, until the old generation is collected.
 */
export class Resolved implements ResolvedRequest {
  readonly tenant: Tenant | undefined;
  readonly user: Principal | undefined;
  readonly credential: Credential | undefined;
  readonly isUnknownTenant: boolean;
  readonly platform: Platform;
  readonly #databaseOf: Installation["databaseOf"];

  constructor(
    { tenant, user, credential, isUnknownTenant = false }: Caller,
    platform: Platform,
    databaseOf: Installation["databaseOf"],
  ) {
    this.tenant = tenant;
    this.user = user;
    this.credential = credential;
    this.isUnknownTenant = isUnknownTenant;
    this.platform = platform;
    this.#databaseOf = databaseOf;
  }

  get db() {
    return this.tenant && this.#databaseOf(this.tenant);
  }
}
