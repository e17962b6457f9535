import type { Platform } from "../kernel/feature/platform.ts";
import type { Caller, Identify } from "../kernel/http/state/request-state.ts";
import type { Identity } from "../kernel/identity/identity.ts";
import type { Resolver } from "../kernel/identity/resolution.ts";
import type { ReadInput } from "../kernel/identity/resolver-input.ts";
import { chain } from "../kernel/lib/maybe-promise.ts";
import type { Installation } from "./installation.ts";

export interface IdentifyOptions {
  readonly readInput: ReadInput;
  readonly resolver: Resolver;
  readonly platform: Platform;
  readonly databaseOf: Installation["databaseOf"];
}

/** Resolves a request to its caller, with the tenant's database and the platform. */
export function createIdentify(options: IdentifyOptions): Identify {
  const { readInput, resolver, platform, databaseOf } = options;
  return (request, route) => {
    const input = readInput(request, route);
    const identity =
      input instanceof Promise
        ? input.then((known) => resolver(known, route))
        : resolver(input, route);
    return chain(identity, (known) => new KnownCaller(known, platform, databaseOf));
  };
}

/**
 * A class, because a getter in an object literal costs a hidden class per object, which keeps
 * everything the request refers to alive until the old generation is collected.
 */
class KnownCaller implements Caller {
  readonly tenant: Caller["tenant"];
  readonly user: Caller["user"];
  readonly credential: Caller["credential"];
  readonly isUnknownTenant: boolean;
  readonly platform: Platform;
  readonly #databaseOf: Installation["databaseOf"];

  constructor(
    { tenant, user, credential, isUnknownTenant = false }: Identity,
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
