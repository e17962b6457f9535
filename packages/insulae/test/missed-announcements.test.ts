/** What a cache knew before it may have missed an announcement, it asks for again. */
import { X509Certificate } from "node:crypto";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { App } from "../src/app/app-api.ts";
import {
  createFollowers,
  type FollowAnnouncements,
} from "../src/kernel/announcements/followers.ts";
import { keepCurrent } from "../src/kernel/announcements/snapshot.ts";
import { createCaches } from "../src/kernel/cache/cache.ts";
import { createEvents } from "../src/kernel/feature/events.ts";
import { createAuthority } from "../src/kernel/identity/authority.ts";
import { createClientCertificates } from "../src/kernel/identity/client-certificates.ts";
import type { AccountId, UserId } from "../src/kernel/lib/ids.ts";
import { createSecrets } from "../src/kernel/lib/secrets.ts";
import type { Tenant } from "../src/kernel/model/tenant.ts";
import { createCatalogue } from "../src/kernel/tenancy/catalogue.ts";
import { fingerprintOf } from "../src/kernel/tls/certificate-pair.ts";
import { createHostCertificates } from "../src/kernel/tls/host-certificates.ts";
import { unknownId } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";
import { makeCertificate } from "../src/testing/test-certificates.ts";

let app: App;
let tenant: Tenant;
beforeAll(async () => {
  app = await createTestApp({ features: [] });
  tenant = await app.tenants.create({ key: "acme", name: "Acme" });
});
afterAll(() => app?.close());

type Missing = (forgetAll: () => void, deafen: () => void) => void;

/** Caches are told that something was missed, or ask and find out themselves. */
const ways: readonly (readonly [string, Missing])[] = [
  ["was told that it may have missed some", (forgetAll) => forgetAll()],
  ["finds that it hears none when it asks", (_, deafen) => deafen()],
];

/** Announcements that are heard, until the test says that some may have been missed. */
function announcements(missing: Missing) {
  const followers = createFollowers();
  let state: "heard" | "not found out" | "unheard" = "heard";
  const forgetAll = followers.missSome;
  const follow: FollowAnnouncements = (reactions) => {
    followers.add(reactions);
    return () => {
      // As the listener does, once, where the clock tells it so.
      if (state === "not found out") {
        state = "unheard";
        forgetAll();
      }
      return state === "heard";
    };
  };
  const deafen = () => {
    state = "not found out";
  };
  return { follow, missSome: () => missing(forgetAll, deafen) };
}

describe.each(ways)("a node that %s asks again for", (_, missing) => {
  test("the events that somebody in a tenant wants", async () => {
    const { follow, missSome } = announcements(missing);
    let wanted: string[] = [];
    const definition = { name: "note.added", summary: "", permission: "notes:read", schema: {} };
    const events = createEvents({
      features: [{ events: [definition as never] }],
      wanted: async () => wanted,
      record: async () => undefined,
      announce: async () => undefined,
      follow,
    }).of(tenant, {} as never);
    expect(await events.isWanted("note.added")).toBe(false);
    wanted = ["*"];
    expect(await events.isWanted("note.added")).toBe(false);
    missSome();
    expect(await events.isWanted("note.added")).toBe(true);
  });

  test("a host's certificate", async () => {
    const { follow, missSome } = announcements(missing);
    const secrets = createSecrets("a master secret of more than 32 characters");
    const host = `shop-${crypto.randomUUID()}.example`;
    await app.hosts.register(host);
    await app.withPlatform("a test", async ({ control }) => {
      const here = createHostCertificates({ control, secrets, follow });
      const elsewhere = createHostCertificates({ control, secrets, follow: () => () => true });
      expect(await here.contextFor(host)).toBeUndefined();
      await elsewhere.put(host, await makeCertificate({ hosts: [host] }));
      expect(await here.contextFor(host)).toBeUndefined();
      missSome();
      expect(await here.contextFor(host)).toBeDefined();
    });
  });

  test("the registrations of a client's certificate", async () => {
    const { follow, missSome } = announcements(missing);
    const { cert } = await makeCertificate();
    const x509 = new X509Certificate(cert);
    const fingerprint = fingerprintOf(x509);
    const presented = { x509, fingerprint, notBefore: 0, notAfter: Date.now() + 86_400_000 };
    await app.withPlatform("a test", async ({ control }) => {
      const certificates = createClientCertificates({
        ...{ control, authority: { findUser: () => undefined }, follow },
      });
      expect(await certificates.find(presented)).toEqual([]);
      await control
        .insertInto("control.client_certificates")
        .values({
          ...{ tenant_id: tenant.id, name: "a machine", kind: "certificate", fingerprint },
          ...{ certificate: cert, subject: "CN=test", required_subject: [], user_id: null },
          ...{ scopes: [], not_before: new Date(0), not_after: new Date(presented.notAfter) },
        })
        .execute();
      expect(await certificates.find(presented)).toEqual([]);
      missSome();
      expect(await certificates.find(presented)).toMatchObject([{ tenantId: tenant.id }]);
    });
  });

  test("a tenant", async () => {
    const { follow, missSome } = announcements(missing);
    const load = vi.fn(async () => tenant);
    const catalogue = createCatalogue({ load, follow });
    const lookup = { by: "id", value: tenant.id } as const;
    await catalogue.find(lookup);
    expect(catalogue.find(lookup)).toBe(tenant);
    expect(catalogue.findKnown(lookup)).toBe(tenant);
    missSome();
    expect(catalogue.findKnown(lookup)).toBeUndefined();
    await catalogue.find(lookup);
    expect(load).toHaveBeenCalledTimes(2);
  });

  test("a user and an account", async () => {
    const { follow, missSome } = announcements(missing);
    const loadUser = vi.fn(async () => undefined);
    const loadAccount = vi.fn(async () => undefined);
    const authority = createAuthority({
      loadUser,
      loadAccount,
      permissionsOf: () => new Set(),
      follow,
    });
    const ask = async () => {
      await authority.findUser(tenant, unknownId as UserId);
      await authority.findAccount(unknownId as AccountId);
      return [loadUser.mock.calls.length, loadAccount.mock.calls.length];
    };
    expect([await ask(), await ask()]).toEqual([
      [1, 1],
      [1, 1],
    ]);
    missSome();
    expect(await ask()).toEqual([2, 2]);
  });

  test("what is read whole: keys, and sessions that have ended", async () => {
    const { follow, missSome } = announcements(missing);
    const load = vi.fn(async () => undefined);
    const copy = keepCurrent({ load, follow: (stale) => follow({ anything: stale }) });
    await copy.ready();
    expect(copy.ready()).toBeUndefined();
    missSome();
    expect(copy.ready()).toBeInstanceOf(Promise);
  });

  test("what a tenant has cached", async () => {
    const { follow, missSome } = announcements(missing);
    const caches = createCaches({
      ...{ redis: undefined, announce: async () => undefined, follow, maxBytes: 1_000_000 },
      log: pino({ level: "silent" }),
    });
    const cache = caches.of(tenant.id);
    await cache.set("key", 1);
    expect(await cache.get("key")).toBe(1);
    missSome();
    expect(await cache.get("key")).toBeUndefined();
  });
});
