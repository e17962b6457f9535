import { randomBytes, randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { anyText } from "../../testing/any-text.ts";
import type { TenantId, UserId } from "../lib/ids.ts";
import {
  type ApiKey,
  looksLikeApiKey,
  parseApiKey,
  prefixOfApiKey,
  printApiKey,
} from "./api-key.ts";

const newKey = (): ApiKey => ({
  id: randomUUID(),
  tenantId: randomUUID() as TenantId,
  userId: randomUUID() as UserId,
  secret: randomBytes(32),
});

it("a printed key parses to the same key, and begins with its prefix", () => {
  for (let i = 0; i < 100; i += 1) {
    const key = newKey();
    const text = printApiKey(key);
    expect(parseApiKey(text)).toEqual(key);
    expect(looksLikeApiKey(text)).toBe(true);
    expect(text.startsWith(prefixOfApiKey(key.id))).toBe(true);
  }
});

it("a key has one encoding: no other text parses as it", () => {
  const text = printApiKey(newKey());
  fc.assert(
    fc.property(fc.nat(text.length), anyText({ maxLength: 3 }), (at, more) => {
      const other = text.slice(0, at) + more + text.slice(at + more.length);
      const read = parseApiKey(other);
      expect(read === undefined || printApiKey(read) === other).toBe(true);
    }),
  );
  fc.assert(
    fc.property(anyText(), (any) => {
      expect(parseApiKey(`ik_${any}`)).toBeUndefined();
    }),
  );
});
