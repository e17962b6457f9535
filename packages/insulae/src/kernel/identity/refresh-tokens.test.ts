import { randomBytes, randomUUID } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSecrets } from "../lib/secrets.ts";
import { createRefreshTokens, newRefreshSecret } from "./refresh-tokens.ts";

const tokens = createRefreshTokens(createSecrets("0123456789abcdef0123456789abcdef"));
const others = createRefreshTokens(createSecrets("another secret, of 32 characters"));

const anyToken = fc
  .tuple(fc.uuid(), fc.nat(2 ** 32 - 1), fc.uint8Array({ minLength: 32, maxLength: 32 }))
  .map(([sessionId, generation, secret]) => ({
    sessionId,
    generation,
    secret: Buffer.from(secret),
  }));

describe("a refresh token", () => {
  it("parses to the same token, only with the same secret", () => {
    fc.assert(
      fc.property(anyToken, (token) => {
        expect(tokens.parse(tokens.print(token))).toEqual(token);
        expect(others.parse(tokens.print(token))).toBeUndefined();
      }),
    );
  });

  it("with anything changed, added or removed is invalid", () => {
    const letter = fc.constantFrom(..."Aaz09-_.=+/ \0é");
    fc.assert(
      fc.property(anyToken, fc.nat(200), fc.nat(3), letter, (token, place, removed, added) => {
        const text = tokens.print(token);
        const at = place % (text.length + 1);
        const edited = text.slice(0, at) + added + text.slice(at + removed);
        fc.pre(edited !== text);
        expect(tokens.parse(edited)).toBeUndefined();
      }),
      { numRuns: 2_000 },
    );
  });

  it("can't be forged", () => {
    const garbage = fc.oneof(
      fc.string(),
      fc.base64String().map((text) => `ir_${text}`),
      fc.uint8Array({ minLength: 68, maxLength: 68 }).map((bytes) => {
        return `ir_${Buffer.from(bytes).toString("base64url")}`;
      }),
    );
    fc.assert(fc.property(garbage, (text) => tokens.parse(text) === undefined));
  });

  it("has one successor, which can't be computed without the secret", () => {
    const token = { sessionId: randomUUID(), generation: 7, secret: newRefreshSecret() };
    const next = tokens.successor(token);
    expect(next).toMatchObject({ sessionId: token.sessionId, generation: 8 });
    expect(tokens.successor(token)).toEqual(next);
    expect(others.successor(token).secret).not.toEqual(next.secret);
    const another = { ...token, secret: randomBytes(32) };
    expect(tokens.successor(another).secret).not.toEqual(next.secret);
  });
});
