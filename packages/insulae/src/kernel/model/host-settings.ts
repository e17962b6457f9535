/**
 * Settings of a single host, in addition to its tenant's. They are stored with the host, are loaded
 * with its tenant, and apply to requests for that tenant at that host. They never affect who the
 * caller is or what they may do. A tenant without such settings has no map of them, so its requests
 * skip the lookup.
 */
import { Type } from "typebox";
import { canonicalHost } from "../net/hostname.ts";
import { createValidators } from "../validation/validation.ts";

export interface HostSettings {
  /**
   * For all requests to the tenant at this host together, anonymous ones too, on top of other
   * limits.
   */
  readonly rateLimit?: {
    readonly requestsPerSecond: number;
    /** Maximum burst; default: one second's worth, at least 1. */
    readonly burst?: number;
  };
  /** Which frames may embed responses: none, or those of pages of the same host. */
  readonly frameOptions?: "DENY" | "SAMEORIGIN";
  /** Origins allowed to use the API at this host, in addition to the tenant's. */
  readonly corsOrigins?: readonly string[];
  /** Maximum body size in bytes; the route's own limit applies too. */
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

/** Validates a host's settings. @throws validationFailed, with the path of the invalid value */
export const checkHostSettings: (settings: HostSettings) => void = createValidators()(
  schema,
  "body",
  "settings",
);

/** The settings of the requested host, if it is one of the tenant's. @throws invalidHost */
export const hostSettingsOf = (
  { hostSettings }: { readonly hostSettings?: ReadonlyMap<string, HostSettings> },
  hostHeader: string,
): HostSettings | undefined => hostSettings?.get(canonicalHost(hostHeader));
