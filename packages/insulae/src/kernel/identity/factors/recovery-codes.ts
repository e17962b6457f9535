/**
 * Recovery codes: what somebody has on paper, for the day on which the phone is gone. Ten of 80 random
 * bits; only a keyed hash is stored, so a copy of the table says nothing.
 */
import { createHmac, randomBytes } from "node:crypto";
import type { Subject } from "../subject.ts";

const count = 10;
// Crockford's base 32: no letter looks like a digit.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

/** @example newRecoveryCodes()[0] === "k3vw-81n0-zq7c-x2ha" */
export const newRecoveryCodes = (): readonly string[] => Array.from({ length: count }, newCode);

function newCode(): string {
  // 32 divides 256, so that each letter is as likely as the others.
  const letters = Array.from(randomBytes(16), (byte) => alphabet[byte % 32]);
  return letters.join("").replace(/....(?=.)/g, "$&-");
}

/** Spelled as people copy it: in capitals, without hyphens, with O for 0 and I or L for 1. */
const canonical = (code: string): string =>
  code.toLowerCase().replaceAll(/[\s-]/g, "").replaceAll("o", "0").replaceAll(/[il]/g, "1");

export const hashRecoveryCode = (key: Buffer, { tenantId, id }: Subject, code: string): Buffer =>
  createHmac("sha256", key)
    .update(`${tenantId ?? ""}/${id}/${canonical(code)}`)
    .digest();
