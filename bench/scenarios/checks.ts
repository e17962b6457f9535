/**
 * What it costs to know who calls and whether they may, once everything is in the caches: the very
 * resolver that a server has (tenant, credential, standing, permission), asked in this process on
 * behalf of one user of each of 1000 tenants in turn.
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

// Of a route the resolver reads its options only.
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
    title: "Who calls, and may they?",
    text:
      "The check of the credential and of the permission together, with what is known of 1000 tenants' users " +
      "in the caches; the median of nine rounds.",
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
      throw new Error("a caller was taken for another tenant's");
    },
  });

async function measure(resolve: Resolver, callers: readonly ResolverInput[]): Promise<number> {
  for (const input of callers) {
    const { user } = await resolve(input, route);
    if (user?.kind !== "tenant") throw new Error("a caller is not known");
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
    // Announcements have to be heard between the rounds, or the caches are believed no longer.
    await sleep(100);
    rounds.push(round());
  }
  return median(rounds);
}
