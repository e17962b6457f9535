/**
 * Recovery codes, to keep on paper for when the phone is lost: ten, of 80 random bits each. Only a
 * keyed hash is stored, so a copy of the table reveals nothing.
 */
import { createHmac, randomBytes } from "node:crypto";
import type { Subject } from "../subject.ts";

const count = 10;
// Crockford's base 32: no letter resembles a digit.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

/** @example newRecoveryCodes()[0] === "k3vw-81n0-zq7c-x2ha" */
export const newRecoveryCodes = (): readonly string[] => Array.from({ length: count }, newCode);

function newCode(): string {
  // 32 divides 256, so the distribution is uniform.
  const letters = Array.from(randomBytes(16), (byte) => alphabet[byte % 32]);
  return letters.join("").replace(/....(?=.)/g, "$&-");
}

/** Tolerates what people write: capitals, no hyphens, O for 0, I or L for 1. */
const canonical = (code: string): string =>
  code.toLowerCase().replaceAll(/[\s-]/g, "").replaceAll("o", "0").replaceAll(/[il]/g, "1");

export const hashRecoveryCode = (key: Buffer, { tenantId, id }: Subject, code: string): Buffer =>
  createHmac("sha256", key)
    .update(`${tenantId ?? ""}/${id}/${canonical(code)}`)
    .digest();
