import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../../testing/any-text.ts";
import { canonicalHost } from "./hostname.ts";

describe("a host name", () => {
  test.each([
    ["ACME.Example.COM", "acme.example.com"],
    ["acme.example.com.", "acme.example.com"],
    ["acme.example.com:8000", "acme.example.com"],
    ["acme.example.com.:443", "acme.example.com"],
    ["münchen.example", "xn--mnchen-3ya.example"],
    ["xn--mnchen-3ya.example", "xn--mnchen-3ya.example"],
    ["[::1]:8000", "::1"],
    ["127.0.0.1:80", "127.0.0.1"],
  ])("%s is %s", (raw, host) => {
    expect(canonicalHost(raw)).toBe(host);
  });

  test.each([
    "",
    "a@b.example",
    "user:pass@b.example",
    "a b",
    "a/b",
    "a\\b",
    "a..b",
    ".a",
    "a:port",
    "a:65536",
    "[::1]:70000",
    "a:1:2",
    "a\tb",
    "a%2eb",
    "xn--a",
    "a.xn--zzzzzz--.example",
    "x".repeat(64),
    `${"x.".repeat(130)}x`,
  ])("%j is refused", (raw) => {
    expect(() => canonicalHost(raw)).toThrow(expect.objectContaining({ code: "invalid_host" }));
  });

  test("what passes is canonical already", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.domain(), fc.ipV4(), anyText()), (raw) => {
        let host: string;
        try {
          host = canonicalHost(raw);
        } catch {
          return;
        }
        expect(canonicalHost(host.includes(":") ? `[${host}]` : host)).toBe(host);
      }),
      { numRuns: 2_000 },
    );
  });
});
