/**
 * The cost of resolving and authorising a caller with warm caches: the server's own resolver
 * (tenant, credential, standing, permission), called in this process for one user of each of 1000
 * tenants in turn.
 */

import { setTimeout as sleep } from "node:timers/promises";
import {
  createResolver,
  type Resolver,
  type ResolverInput,
} from "../../packages/insulae/src/kernel/identity/resolution.ts";
import { createHostLookup } from "../../packages/insulae/src/kernel/tenancy/host-lookup.ts";
import { callersBy, credentialKinds } from "../credentials.ts";
import type { Services } from "../insulae.ts";
import type { Bench, Section } from "../scenario.ts";
import { median } from "../statistics.ts";

const largestMicroseconds = 10;
const baseDomain = "bench.example";

// The resolver reads only a route's options.
const route = { options: { permission: "contacts:read" } } as unknown as Parameters<Resolver>[1];

export async function checks(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const measured = await insulae.withServices(async (services) => {
    const resolve = resolverOf(services);
    const results: { kind: string; microseconds: number }[] = [];
    for (const kind of credentialKinds) {
      bench.progress(`checks: by ${kind}`);
      const input = await callersBy[kind](bench.database, services, insulae.pool);
      results.push({ kind, microseconds: await measure(resolve, input) });
    }
    return results;
  });
  return {
    title: "Resolving and authorising the caller",
    text:
      "Checking the credential and the permission, with the users of 1000 tenants " +
      "in the caches; median of nine rounds.",
    columns: ["credential", "time per request"],
    rows: measured.map(({ kind, microseconds }) => [kind, `${microseconds.toFixed(2)} µs`]),
    verdicts: measured.map(({ kind, microseconds }) => ({
      promise: `credential and permission when cached, by ${kind}`,
      target: `< ${largestMicroseconds} µs`,
      found: `${microseconds.toFixed(2)} µs`,
      met: microseconds < largestMicroseconds,
    })),
    data: measured,
  };
}

const resolverOf = ({ catalogue, authenticate, platform }: Services): Resolver =>
  createResolver({
    catalogue,
    authenticate,
    hostLookup: createHostLookup({ baseDomain, platformHosts: [baseDomain] }),
    defaultTenant: "demo_tenant",
    certificates: platform.clientCertificates,
    onCrossTenantAttempt() {
      throw new Error("a caller was resolved to another tenant");
    },
  });

async function measure(resolve: Resolver, callers: readonly ResolverInput[]): Promise<number> {
  for (const input of callers) {
    const { user } = await resolve(input, route);
    if (user?.kind !== "tenant") throw new Error("a caller was not resolved");
  }
  const repetitions = 100;
  const round = (): number => {
    const began = performance.now();
    for (let i = 0; i < repetitions; i += 1) {
      for (const input of callers) {
        if (resolve(input, route) instanceof Promise) throw new Error("the cache is cold");
      }
    }
    return ((performance.now() - began) * 1000) / (repetitions * callers.length);
  };
  round();
  const rounds: number[] = [];
  for (let i = 0; i < 9; i += 1) {
    // Announcements must be received between the rounds, or cached entries expire.
    await sleep(100);
    rounds.push(round());
  }
  return median(rounds);
}
