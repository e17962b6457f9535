import { expect, test } from "vitest";
import { createSecrets } from "./secrets.ts";

const secrets = createSecrets("a master secret of more than 32 characters");

test("what was sealed is opened again, and never looks the same", () => {
  const sealed = secrets.seal("server-url", "postgres://admin:pass@db/ü");
  expect(secrets.open("server-url", sealed)).toBe("postgres://admin:pass@db/ü");
  expect(secrets.seal("server-url", "postgres://admin:pass@db/ü")).not.toBe(sealed);
});

test("a sealed value cannot decrypt for another purpose, with another secret, or when changed", () => {
  const sealed = secrets.seal("server-url", "postgres://");
  const other = createSecrets("another master secret of more than 32 chars");
  const bytes = Buffer.from(sealed.slice(3), "base64url");
  bytes[14] = (bytes[14] ?? 0) ^ 1;
  expect(() => secrets.open("signing-key", sealed)).toThrow("cannot decrypt");
  expect(() => other.open("server-url", sealed)).toThrow("cannot decrypt");
  expect(() => secrets.open("server-url", `v1.${bytes.toString("base64url")}`)).toThrow(
    "cannot decrypt",
  );
  for (const text of ["", "v1.", "v2.AAAA", "postgres://admin@db/main"]) {
    expect(() => secrets.open("server-url", text)).toThrow("not a sealed value");
  }
});

test("a role's password is its own, and the same for the same secret", () => {
  const password = secrets.rolePassword("insulae_app");
  expect(password).toMatch(/^[0-9a-f]{64}$/);
  expect(
    createSecrets("a master secret of more than 32 characters").rolePassword("insulae_app"),
  ).toBe(password);
  expect(secrets.rolePassword("insulae_control")).not.toBe(password);
});

test("a short master secret is refused", () => {
  expect(() => createSecrets("x".repeat(31))).toThrow("at least 32");
});
