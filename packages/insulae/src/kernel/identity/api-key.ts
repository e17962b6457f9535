/**
 * The text of an API key: `ik_` and, in base64url, 80 bytes: the ids of the key, its tenant and its
 * maker, and a secret. So a key says by itself whose it is, and finding it takes no look-up beside the
 * maker's, who is in the cache like any user (`authority.ts`). Nothing of it counts but what the
 * secret proves.
 *
 * The secret is 256 random bits and is kept as its SHA-256. A slow hash would be no better: it makes
 * guessing dear, and what is random throughout can't be guessed, at any speed.
 */
import { hash, randomBytes } from "node:crypto";
import type { TenantId, UserId } from "../lib/ids.ts";
import { bytesOfUuid, uuidOfBytes } from "../lib/uuid.ts";

export interface ApiKey {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly userId: UserId;
  readonly secret: Buffer;
}

const lead = "ik_";

export const newApiKeySecret = (): Buffer => randomBytes(32);

export const hashApiKeySecret = (secret: Buffer): Buffer => hash("sha256", secret, "buffer");

/** Whether it is meant to be an API key; anything else is another kind of bearer. */
export const looksLikeApiKey = (text: string): boolean => text.startsWith(lead);

export function printApiKey({ id, tenantId, userId, secret }: ApiKey): string {
  const bytes = [bytesOfUuid(id), bytesOfUuid(tenantId), bytesOfUuid(userId), secret];
  return `${lead}${Buffer.concat(bytes).toString("base64url")}`;
}

/** What a key begins with: enough to tell keys apart, and nothing of the secret. */
export const prefixOfApiKey = (id: string): string =>
  `${lead}${bytesOfUuid(id).subarray(0, 12).toString("base64url")}`;

/** The parts of what `printApiKey` printed; undefined for any other text. */
export function parseApiKey(text: string): ApiKey | undefined {
  if (!looksLikeApiKey(text)) return undefined;
  const encoded = text.slice(lead.length);
  const bytes = Buffer.from(encoded, "base64url");
  // Decoding is lenient; a key has one spelling.
  if (bytes.length !== 80 || bytes.toString("base64url") !== encoded) return undefined;
  return {
    id: uuidOfBytes(bytes.subarray(0, 16)),
    // Whether there are such is found out next.
    tenantId: uuidOfBytes(bytes.subarray(16, 32)) as TenantId,
    userId: uuidOfBytes(bytes.subarray(32, 48)) as UserId,
    secret: bytes.subarray(48),
  };
}
