import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Tenant } from "../../model/tenant.ts";
import { canonicalOrigin, createOrigins } from "./origins.ts";

const acme = {
  id: "acme",
  slug: "acme",
  status: "active",
  hosts: ["shop.acme.example", "www.acme.example"],
  settings: { cors_origins: ["https://partner.example", "https://Spelled.Example:443/", 7] },
  // Only these parts matter here.
} as unknown as Tenant;

const tenants = new Map([
  ["shop.acme.example", acme],
  ["acme.example.com", acme],
  ["gone.example.com", { ...acme, slug: "gone", status: "suspended" as const }],
]);

const origins = createOrigins({
  platform: ["https://app.example.org", "http://localhost:3000/"],
  baseUrl: () => "https://api.example.com:8443",
  baseDomain: "example.com",
  findTenant: (host) => tenants.get(host),
  findKnownTenant: (host) => tenants.get(host),
});
const local = createOrigins({
  platform: [],
  localPages: true,
  baseUrl: () => "http://localhost:8000",
  baseDomain: "localhost",
  findTenant: () => undefined,
  findKnownTenant: () => undefined,
});

describe("in development", () => {
  it.each([
    "http://localhost:5173",
    "http://127.0.0.1:3000",
    "http://[::1]:8080",
    "http://a.localhost",
  ])("%s is allowed", (origin) => {
    expect([
      local.classify(origin, "localhost:8000"),
      local.isKnown(origin, "localhost:8000"),
    ]).toEqual(["allowed", true]);
  });

  it.each([
    "https://evil.example",
    "http://localhost.evil.example",
    "http://evillocalhost:5173",
    "http://127.0.0.1.nip.example",
    "http://192.168.0.7:5173",
    "null",
    "file://localhost",
  ])("%s is foreign", (origin) => {
    expect([
      local.classify(origin, "localhost:8000"),
      local.isKnown(origin, "localhost:8000"),
    ]).toEqual(["foreign", false]);
  });
});

const platformHost = "api.example.com:8443";

describe("an origin", () => {
  it.each([
    ["https://app.example.com", "https://app.example.com"],
    ["HTTPS://App.Example.COM:443/", "https://app.example.com"],
    ["http://localhost:3000", "http://localhost:3000"],
    ["http://[::1]:80", "http://[::1]"],
  ])("%s has one canonical form", (text, form) => {
    expect(canonicalOrigin(text)).toBe(form);
  });

  it.each([
    "null",
    "",
    "*",
    "https://*.example.com",
    "https://app.example.com/path",
    "https://app.example.com?x",
    "https://user@app.example.com",
    "https://app.example.com https://evil.example",
    "https://app.example.com\\.evil.example",
    "file://",
    "chrome-extension://abcdef",
    "app.example.com",
    "https://",
  ])("%j is not an origin", (text) => {
    expect(canonicalOrigin(text)).toBeUndefined();
  });

  it("is allowed if it is in the platform's list", () => {
    expect(origins.classify("https://app.example.org", platformHost)).toBe("allowed");
    expect(origins.classify("http://localhost:3000", "shop.acme.example")).toBe("allowed");
  });

  it("is the API's own if the host is the same", () => {
    expect(origins.classify("https://api.example.com:8443", platformHost)).toBe("own");
    expect(origins.classify("https://unknown.example", "unknown.example")).toBe("own");
    expect(origins.classify("http://api.example.com:8443", platformHost)).toBe("foreign");
  });

  it("in a tenant's list is allowed at that tenant's hosts only", () => {
    expect(origins.classify("https://partner.example", "shop.acme.example")).toBe("allowed");
    expect(origins.classify("https://spelled.example", "acme.example.com")).toBe("allowed");
    expect(origins.classify("https://partner.example", platformHost)).toBe("foreign");
    expect(origins.classify("https://partner.example", "other.example.com")).toBe("foreign");
    expect(origins.classify("https://partner.example", "gone.example.com")).toBe("foreign");
  });

  it("of another host of the same tenant is allowed", () => {
    expect(origins.classify("https://www.acme.example:8443", "shop.acme.example")).toBe("allowed");
    expect(origins.classify("https://acme.example.com:8443", "shop.acme.example")).toBe("allowed");
    expect(origins.classify("https://www.acme.example:8443", platformHost)).toBe("foreign");
    expect(origins.classify("http://www.acme.example:8443", "shop.acme.example")).toBe("foreign");
  });

  it.each([
    "null",
    "https://app.example.org.evil.example",
    "https://evilapp.example.org",
    "https://sub.app.example.org",
    "https://app.example.org:8443",
    "http://app.example.org",
    "https://app.example.org.",
    "https://app-example.org",
    "https://app.example.org%2eevil.example",
    "https://app.example.org@evil.example",
  ])("%s only resembles an allowed one", (text) => {
    expect(origins.classify(text, platformHost)).toBe("foreign");
  });

  it("is compared by its exact scheme, host and port", () => {
    const label = fc.stringMatching(/^[a-z][a-z0-9]{0,6}$/);
    const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("."));
    const origin = fc.record({
      scheme: fc.constantFrom("http", "https"),
      host,
      port: fc.constantFrom(undefined, 80, 443, 3000, 8443),
    });
    type Origin = { scheme: string; host: string; port: number | undefined };
    const text = ({ scheme, host, port }: Origin) =>
      `${scheme}://${host}${port === undefined ? "" : `:${port}`}`;
    const parts = ({ scheme, host, port }: Origin) =>
      [scheme, host, port ?? (scheme === "https" ? 443 : 80)].join();
    // A neighbour: the origin with one part changed, or a different one.
    const neighbour = (one: Origin) =>
      fc.oneof(
        fc.constant(one),
        origin,
        fc.constantFrom(
          { ...one, scheme: one.scheme === "http" ? "https" : "http" },
          { ...one, port: one.port === 3000 ? 8443 : 3000 },
        ),
        label.map((more) => ({ ...one, host: `${one.host}.${more}` })),
        label.map((more) => ({ ...one, host: `${more}.${one.host}` })),
        label.map((more) => ({ ...one, host: `${more}${one.host}` })),
        label.map((more) => ({ ...one, host: `${one.host}${more}` })),
      );
    const pair = origin.chain((one) => fc.tuple(fc.constant(one), neighbour(one)));
    fc.assert(
      fc.property(pair, ([listed, asking]) => {
        const { classify } = createOrigins({
          platform: [text(listed)],
          baseUrl: () => "https://api.invalid",
          baseDomain: "invalid",
          findTenant: () => undefined,
          findKnownTenant: () => undefined,
        });
        const allowed = classify(text(asking), "api.invalid") === "allowed";
        expect(allowed).toBe(parts(listed) === parts(asking));
      }),
      { numRuns: 500 },
    );
  });

  it("is never allowed if it is not a valid origin", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.constantFrom("", "https://", "https://app.example.org"),
        (tail, head) => {
          const asking = head + tail;
          const verdict = origins.classify(asking, platformHost);
          if (canonicalOrigin(asking) !== "https://app.example.org")
            expect(verdict).toBe("foreign");
        },
      ),
      { numRuns: 500 },
    );
  });
});
