/**
 * The part of a route's declaration that decides who may call it; see `RouteOptions` in
 * feature/route.ts.
 */
export interface GuardedRoute {
  readonly options: {
    readonly permission: string;
    readonly context?: "tenant" | "core" | "any";
    readonly defaultTenant?: true;
    readonly forCaller?: true;
    readonly byHost?: true;
    readonly personal?: boolean;
    readonly impersonators?: false;
    readonly orPlatform?: boolean;
    readonly socket?: { readonly ticketsFor: string };
    /** Whether the route has a response of its own in place of `tenant_not_found`. */
    readonly unknownTenant?: unknown;
  };
}
