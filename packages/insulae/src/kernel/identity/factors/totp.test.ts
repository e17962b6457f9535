import { Secret, TOTP } from "otpauth";
import { describe, expect, it } from "vitest";
import { newTotp, stepOf } from "./totp.ts";

/** The secret of RFC 6238's test vectors. */
const secret = Secret.fromLatin1("12345678901234567890").base32;

describe("a code", () => {
  it.each([
    [59, "287082"],
    [1111111109, "081804"],
    [1234567890, "005924"],
    [20000000000, "353130"],
  ])("matches RFC 6238 at %d seconds", (seconds, code) => {
    expect(stepOf(secret, code, seconds * 1000)).toBe(Math.floor(seconds / 30));
  });

  it("is valid one step early and one late, and no longer", () => {
    const step = 50_000;
    const code = TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: step * 30_000 });
    const at = (steps: number) => stepOf(secret, code, (step + steps) * 30_000);
    expect([-2, -1, 0, 1, 2].map(at)).toEqual([undefined, step, step, step, undefined]);
  });

  it.each(["", "28708", "2870822", " 287082", "287O82", "٢٨٧٠٨٢", "287082\n"])(
    "%j is not a code",
    (code) => expect(stepOf(secret, code, 59_000)).toBeUndefined(),
  );
});

it("a secret has 160 bits, and its URI names issuer and account, even with colons", () => {
  const { secret: made, uri } = newTotp({ issuer: "Acme: Corp", name: "ann@example.org" });
  expect(made).toMatch(/^[A-Z2-7]{32}$/);
  const parsed = new URL(uri);
  expect(parsed.protocol).toBe("otpauth:");
  expect(parsed.searchParams.get("secret")).toBe(made);
  expect(parsed.searchParams.get("issuer")).toBe("Acme  Corp");
});
