/** The buckets that a request can be charged to, and the setting of each. */
import type { FastifyRequest } from "fastify";
import type { RateLimits } from "../../../config/config.ts";
import type { ClientAddress } from "../../lib/client-address.ts";
import type { AccountId, TenantId } from "../../lib/ids.ts";
import { tenantKey } from "../../lib/tenant-keys.ts";
import { hostSettingsOf } from "../../model/host-settings.ts";
import type { Tenant } from "../../model/tenant.ts";
import { canonicalHost } from "../../net/hostname.ts";
import { ownLimit } from "../../tenancy/plans.ts";
import type { Charge, Policy } from "./local-buckets.ts";

/** The policies for clients without an identity. */
export type ClientPolicy = Extract<Policy, "anonymous" | "credentials">;

/**
 * The share of the installation's bucket that anonymous requests and log-ins may use. A quarter is
 * left for known callers, however many addresses a flood comes from.
 */
const strangersShare: Readonly<Record<ClientPolicy, number>> = {
  anonymous: 1 / 2,
  credentials: 1 / 4,
};

/**
 * An IPv6 customer often has a /56 and a company a /48, which has 65,536 times as many clients
 * (/64). Each network has a bucket of its own, larger than a client's by this factor.
 */
const networkFactors = [8, 64];

export interface Charges {
  /** The buckets of an unauthenticated client: of its address, and of the networks around it. */
  client(client: ClientAddress, policy: ClientPolicy): readonly Charge[];
  /** The same, after the installation's bucket and the share of it for strangers. */
  stranger(client: ClientAddress, policy: ClientPolicy): readonly Charge[];
  /** The installation's alone, for what costs next to nothing. */
  readonly installation: readonly Charge[];
  /** Outside tenants: the installation's and the account's. */
  account(id: AccountId): readonly Charge[];
  tenant(tenant: Tenant | undefined): readonly Charge[];
  /** A separate bucket, so that the holders of signed URLs can't use up the users' rate. */
  signed(tenant: Tenant): readonly Charge[];
}

/** A page that requests one list shows many files. */
const signedFactor = 10;

/**
 * Charges are cached per tenant and client object, which are replaced on every change: making a key
 * takes several regular expressions. Policies without a limit have no charge.
 */
export function createCharges(limits: RateLimits): Charges {
  const plans = new Map(Object.entries(limits.plans));
  const all = charge("global", undefined, limits.global);
  const share = (policy: ClientPolicy) =>
    limits.global === 0
      ? undefined
      : charge("global", undefined, Math.ceil(limits.global * strangersShare[policy]), policy);
  const shares = { anonymous: share("anonymous"), credentials: share("credentials") };

  const clientCharges = (client: ClientAddress, policy: ClientPolicy): readonly Charge[] => {
    const own = charge(policy, undefined, limits[policy], client.block);
    if (!own) return [];
    return [
      own,
      ...client.networks.map((network, index) => ({
        policy,
        key: tenantKey(undefined, "limit", policy, network),
        perMinute: own.perMinute * (networkFactors[index] ?? 1),
      })),
    ];
  };
  const clients = {
    anonymous: remembered((client: ClientAddress) => clientCharges(client, "anonymous")),
    credentials: remembered((client: ClientAddress) => clientCharges(client, "credentials")),
  };
  const strangerCharges = (policy: ClientPolicy) =>
    remembered((client: ClientAddress) =>
      present([all, shares[policy], ...clients[policy](client)]),
    );
  const strangers = {
    anonymous: strangerCharges("anonymous"),
    credentials: strangerCharges("credentials"),
  };
  const ofTenant = remembered((tenant: Tenant) =>
    present([all, charge("tenant", tenant.id, tenantRate(plans, tenant))]),
  );
  const ofNoTenant = present([all]);
  return {
    installation: ofNoTenant,
    client: (client, policy) => clients[policy](client),
    stranger: (client, policy) => strangers[policy](client),
    account: (id) => present([all, charge("account", undefined, limits.account, id)]),
    tenant: (tenant) => (tenant ? ofTenant(tenant) : ofNoTenant),
    signed: remembered((tenant: Tenant) =>
      present([
        all,
        charge("tenant", tenant.id, tenantRate(plans, tenant) * signedFactor, "signed"),
      ]),
    ),
  };
}

/** Memoizes the function per object. */
function remembered<T extends object>(
  make: (of: T) => readonly Charge[],
): (of: T) => readonly Charge[] {
  const made = new WeakMap<T, readonly Charge[]>();
  return (of) => {
    let found = made.get(of);
    if (!found) {
      found = make(of);
      made.set(of, found);
    }
    return found;
  };
}

const present = (charges: readonly (Charge | undefined)[]): readonly Charge[] =>
  charges.filter((one) => one !== undefined);

function charge(
  policy: Policy,
  tenant: TenantId | undefined,
  perMinute: number,
  name = "",
): Charge | undefined {
  return perMinute === 0
    ? undefined
    : { policy, key: tenantKey(tenant, "limit", policy, name), perMinute };
}

/** Undefined if the host has no limit of its own. */
export function hostCharge({ host }: FastifyRequest, tenant: Tenant): Charge | undefined {
  const limit = hostSettingsOf(tenant, host)?.rateLimit;
  if (!limit) return undefined;
  const { requestsPerSecond, burst = Math.max(1, Math.ceil(requestsPerSecond)) } = limit;
  return {
    policy: "host",
    key: tenantKey(tenant.id, "limit", "host", canonicalHost(host)),
    perMinute: Math.max(1, Math.round(requestsPerSecond * 60)),
    size: burst,
  };
}

/** The tenant's own rate, set by platform administrators, or that of its plan. */
function tenantRate(plans: ReadonlyMap<string, number>, tenant: Tenant): number {
  const own = ownLimit(tenant, "requests_per_minute");
  if (own !== undefined) return Math.min(own, 1_000_000_000);
  return plans.get(tenant.plan) ?? plans.get("free") ?? 0;
}

/** A description of each limit for whoever was refused, and the setting for operators. */
const about: Readonly<Record<Policy, { readonly of: string; readonly setting: string }>> = {
  global: { of: "all clients together", setting: "RATE_LIMIT_GLOBAL" },
  tenant: { of: "the users of your tenant, by its plan", setting: "RATE_LIMIT_PLANS" },
  host: { of: "this host", setting: "rate_limit of the host" },
  account: { of: "your account", setting: "RATE_LIMIT_ACCOUNT" },
  anonymous: { of: "a client without valid credentials", setting: "RATE_LIMIT_ANONYMOUS" },
  credentials: {
    of: "a client at log-in, registration and the like",
    setting: "RATE_LIMIT_CREDENTIALS",
  },
};

/** The problem members of a refusal: the limit, its window, and its setting. */
export function explain(
  { policy, size, perMinute }: Charge,
  window: number,
  retryAfter: number,
): { readonly detail: string; readonly members: Readonly<Record<string, unknown>> } {
  const { of, setting } = about[policy];
  const limit = size ?? perMinute;
  return {
    detail:
      `The limit "${policy}" allows ${of} ${limit} request${limit === 1 ? "" : "s"} in ${window} seconds. ` +
      `Retry in ${retryAfter} seconds. The setting is ${setting}.`,
    members: { policy, limit, window, setting },
  };
}
