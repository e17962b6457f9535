/**
 * The format of an API key: `ik_` and 80 bytes in base64url: the ids of the key, its tenant and its
 * maker, and a secret. The ids make a look-up of the key unnecessary: the maker is in the cache
 * like any user (`authority.ts`). Only the secret proves anything.
 *
 * The secret is 256 random bits, stored as its SHA-256. A slow hash would not help: it only makes
 * guessing expensive, and 256 random bits can't be guessed.
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

/** Whether the text is meant as an API key; otherwise it is another kind of bearer token. */
export const looksLikeApiKey = (text: string): boolean => text.startsWith(lead);

export function printApiKey({ id, tenantId, userId, secret }: ApiKey): string {
  const bytes = [bytesOfUuid(id), bytesOfUuid(tenantId), bytesOfUuid(userId), secret];
  return `${lead}${Buffer.concat(bytes).toString("base64url")}`;
}

/** The start of a key: enough to tell keys apart, without any of the secret. */
export const prefixOfApiKey = (id: string): string =>
  `${lead}${bytesOfUuid(id).subarray(0, 12).toString("base64url")}`;

/** Parses what `printApiKey` returned; undefined for any other text. */
export function parseApiKey(text: string): ApiKey | undefined {
  if (!looksLikeApiKey(text)) return undefined;
  const encoded = text.slice(lead.length);
  const bytes = Buffer.from(encoded, "base64url");
  // Decoding is lenient, but each key has only one valid encoding.
  if (bytes.length !== 80 || bytes.toString("base64url") !== encoded) return undefined;
  return {
    id: uuidOfBytes(bytes.subarray(0, 16)),
    // the next step checks that they exist
    tenantId: uuidOfBytes(bytes.subarray(16, 32)) as TenantId,
    userId: uuidOfBytes(bytes.subarray(32, 48)) as UserId,
    secret: bytes.subarray(48),
  };
}
