import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress } from "./client-address.ts";

const hextet = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
const ipv6 = fc
  .tuple(hextet, hextet, hextet, hextet, hextet, hextet, hextet, hextet)
  // ::ffff:0:0/96 is IPv4.
  .filter((parts) => parts.slice(0, 5).some((part) => part !== 0));

/** One of the ways to write it: capitals, zeros in front, `::` for one run of zeros, a zone, a port. */
const spelling = (parts: readonly number[]) =>
  fc
    .record({
      upper: fc.boolean(),
      padded: fc.boolean(),
      cut: fc.nat(7),
      around: fc.constantFrom("x", "x%eth0", "[x]", "[x]:443"),
      dotted: fc.boolean(),
    })
    .map(({ upper, padded, cut, around, dotted }) => {
      const texts = parts.map((part) => part.toString(16).padStart(padded ? 4 : 1, "0"));
      let end = cut;
      while (parts[end] === 0) end += 1;
      const cutOut = end > cut;
      const [g = 0, h = 0] = parts.slice(6);
      let text = cutOut
        ? `${texts.slice(0, cut).join(":")}::${texts.slice(end).join(":")}`
        : texts.join(":");
      if (dotted && !cutOut) {
        text = `${texts.slice(0, 6).join(":")}:${g >> 8}.${g & 255}.${h >> 8}.${h & 255}`;
      }
      return around.replace("x", upper ? text.toUpperCase() : text);
    });

describe("a client's address", () => {
  test("has one form, however it is written", () => {
    fc.assert(
      fc.property(
        ipv6.chain((parts) => fc.tuple(spelling(parts), spelling(parts))),
        ([one, other]) => {
          expect(parseAddress(one)).toBeDefined();
          expect(parseAddress(one)).toEqual(parseAddress(other));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test("is in one block with those of its /64, and with no others", () => {
    fc.assert(
      fc.property(ipv6, ipv6, fc.boolean(), (one, other, near) => {
        const second = near ? [...one.slice(0, 4), ...other.slice(4)] : [...other];
        const [a, b] = [one, second].map((parts) =>
          parseAddress(parts.map((part) => part.toString(16)).join(":")),
        );
        const same = one.slice(0, 4).join() === second.slice(0, 4).join();
        // The second may have become an IPv4 address.
        fc.pre(b?.block.includes(":") === true);
        expect(a?.block === b?.block).toBe(same);
      }),
    );
  });

  test("is in two larger networks where it is one of IPv6", () => {
    expect(parseAddress("2001:db8:1:2345:6:7:8:9")).toEqual({
      address: "2001:db8:1:2345:6:7:8:9",
      block: "2001:db8:1:2345::/64",
      networks: ["2001:db8:1:2300::/56", "2001:db8:1::/48"],
    });
  });

  test("is the IPv4 address where IPv6 only carries one", () => {
    const expected = { address: "203.0.113.7", block: "203.0.113.7", networks: [] };
    for (const text of [
      "203.0.113.7",
      "::ffff:203.0.113.7",
      "::FFFF:cb00:7107",
      "0:0:0:0:0:ffff:203.0.113.7",
      "203.0.113.7:5123",
      "[::ffff:203.0.113.7]:5123",
    ]) {
      expect(parseAddress(text), text).toEqual(expected);
    }
  });

  test.each(["", "unknown", "_hidden", "1.2.3", "010.0.0.1", "0x7f.1", "1.2.3.4.5", "::g", "[::1"])(
    "is not made of %j",
    (text) => {
      expect(parseAddress(text)).toBeUndefined();
    },
  );
});
