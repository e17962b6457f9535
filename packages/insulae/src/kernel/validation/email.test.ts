import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shortestRun } from "../../testing/processor-time.ts";
import { canonicalEmail, findCanonicalEmail, invalidEmail } from "./email.ts";

describe("an e-mail address", () => {
  it("has one form, however it was typed", () => {
    const forms = [
      "anna@example.org",
      " Anna@EXAMPLE.org\n",
      "ａｎｎａ@example.org",
      "anna＠example.org",
    ];
    expect(new Set(forms.map(canonicalEmail))).toEqual(new Set(["anna@example.org"]));
    expect(canonicalEmail("zoë@example.org".normalize("NFD"))).toBe("zoë@example.org");
    expect(canonicalEmail("anna@exämple.org")).toBe("anna@xn--exmple-cua.org");
    expect(canonicalEmail("Straße@example.org")).toBe(canonicalEmail("STRAẞE@example.org"));
  });

  it("does not become another one by a letter that only looks or folds alike", () => {
    for (const other of ["admın@example.org", "аdmin@example.org"]) {
      expect(canonicalEmail(other)).not.toBe("admin@example.org");
    }
    expect(canonicalEmail("strasse@example.org")).not.toBe(canonicalEmail("straße@example.org"));
  });

  it.each([
    "",
    "anna",
    "@example.org",
    "anna@",
    "anna@@example.org",
    "an na@example.org",
    "anna@exa mple.org",
    '"x@evil y"@corp.org',
    "anna(comment)@example.org",
    "anna@[127.0.0.1]",
    "anna@127.0.0.1",
    "anna@0x7f.1",
    "anna@example.org\r\nBcc: eve@example.org",
    "anna\u0000@example.org",
    "anna@example..org",
    "anna@-example.org",
    "anna@example.org/evil.example",
    "anna@example.org\\evil.example",
    "anna@example.org?evil.example",
    "anna@example.org#evil.example",
    "anna@example%2eorg",
    "anna@exam\tple.org",
    "anna@exam\nple.org",
    ".anna@example.org",
    "anna..b@example.org",
    `${"a".repeat(65)}@example.org`,
    `anna@${"a.".repeat(130)}org`,
  ])("is not %j", (text) => {
    expect(() => canonicalEmail(text)).toThrow(invalidEmail.title);
  });

  it("stays as it is once it is canonical", () => {
    fc.assert(
      fc.property(fc.oneof(fc.emailAddress(), fc.string({ unit: "grapheme" })), (text) => {
        const canonical = findCanonicalEmail(text);
        fc.pre(canonical !== undefined);
        expect(findCanonicalEmail(canonical ?? "")).toBe(canonical);
      }),
    );
  });

  it("is judged in no time, whatever was sent", () => {
    for (const text of [
      "a".repeat(50_000),
      `${"a.".repeat(25_000)}@b`,
      `a@${"b.".repeat(25_000)}`,
      `${"a.".repeat(150)}!`,
      `a@${"b.".repeat(150)}-`,
    ]) {
      expect(shortestRun(() => expect(findCanonicalEmail(text)).toBeUndefined())).toBeLessThan(50);
    }
  });
});
