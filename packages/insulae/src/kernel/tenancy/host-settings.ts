/**
 * What is set for one host alone, beside its tenant's own rules: it is kept with the host, comes into
 * the process with the tenant that the host leads to, and counts for requests for that tenant at that
 * host. Whose a request is and what they may, no host has a say in. A tenant none of whose hosts has
 * settings has no map of them, and its requests look no further.
 */
import { Type } from "typebox";
import { canonicalHost } from "../net/hostname.ts";
import { createValidators } from "../validation/validation.ts";
import type { Tenant } from "./tenant.ts";

export interface HostSettings {
  /** Of all requests for the tenant at this host together, strangers' too, on top of other limits. */
  readonly rateLimit?: {
    readonly requestsPerSecond: number;
    /** How many may come at once; default what comes in a second, at least 1. */
    readonly burst?: number;
  };
  /** Whose frames may show answers: nobody's, or those of pages of the host itself. */
  readonly frameOptions?: "DENY" | "SAMEORIGIN";
  /** Origins whose pages may use the API at this host, beside the tenant's. */
  readonly corsOrigins?: readonly string[];
  /** The largest body; the route's own limit counts as well. */
  readonly maxRequestBytes?: number;
}

const schema = Type.Object({
  rateLimit: Type.Optional(
    Type.Object({
      requestsPerSecond: Type.Number({ minimum: 1 / 60, maximum: 1_000_000 }),
      burst: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    }),
  ),
  frameOptions: Type.Optional(Type.Union([Type.Literal("DENY"), Type.Literal("SAMEORIGIN")])),
  corsOrigins: Type.Optional(
    Type.Array(Type.String({ maxLength: 260, pattern: "^https?://[^\\s/?#@*]+/?$" }), {
      maxItems: 50,
    }),
  ),
  maxRequestBytes: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
});

/** Refuses what is no settings of a host. @throws validationFailed, with the path of what is wrong */
export const checkHostSettings: (settings: HostSettings) => void = createValidators()(
  schema,
  "body",
  "settings",
);

/** What is set for the host that a request names, if it is one of the tenant's. @throws invalidHost */
export const hostSettingsOf = (
  { hostSettings }: Tenant,
  hostHeader: string,
): HostSettings | undefined => hostSettings?.get(canonicalHost(hostHeader));
