/**
 * Derives all secrets from one master secret (HKDF-SHA-256, RFC 5869), one per purpose. Knowing one
 * reveals nothing about another, and none has to be stored.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import type { TenantId } from "./ids.ts";

export interface Secrets {
  /** Key material for one purpose, always the same for the same master secret. */
  derive(purpose: string, bytes: number): Buffer;
  /** The password of a database role: 256 bits, derived from the role's name. */
  rolePassword(role: string): string;
  /**
   * Encrypts and authenticates (AES-256-GCM). The result can be opened for the same purpose only,
   * so a stored value can't be moved to another place.
   */
  seal(purpose: string, plaintext: string): string;
  /** @throws Error if it was sealed for another purpose or with another secret, or was modified */
  open(purpose: string, sealed: string): string;
}

/** Encryption of a tenant's stored secrets, bound to that tenant. */
export type TenantSecrets = Pick<Secrets, "seal" | "open">;

/** The result can't be used in another tenant's row or for another purpose. */
export const tenantSecrets = (secrets: TenantSecrets, tenantId: TenantId): TenantSecrets => ({
  seal: (purpose, plaintext) => secrets.seal(`${purpose}:${tenantId}`, plaintext),
  open: (purpose, sealed) => secrets.open(`${purpose}:${tenantId}`, sealed),
});

const sealVersion = "v1";
const nonceBytes = 12;
const tagBytes = 16;

/**
 * @param masterSecret at least 32 characters or bytes
 * @example
 * const secrets = createSecrets(config.masterSecret);
 * secrets.open("server-url", secrets.seal("server-url", url)) === url;
 */
export function createSecrets(masterSecret: string | Buffer): Secrets {
  if (masterSecret.length < 32)
    throw new Error("the master secret must have at least 32 characters");
  const derive = (purpose: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync("sha256", masterSecret, "insulae", purpose, bytes));
  const sealingKey = (purpose: string) => derive(`seal:${purpose}`, 32);

  return Object.freeze({
    derive,
    rolePassword: (role: string) => derive(`role:${role}`, 32).toString("hex"),

    seal(purpose: string, plaintext: string): string {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", sealingKey(purpose), nonce);
      const text = Buffer.concat([cipher.update(plaintext, "utf8"), cipher.final()]);
      const sealed = Buffer.concat([nonce, text, cipher.getAuthTag()]);
      return `${sealVersion}.${sealed.toString("base64url")}`;
    },

    open(purpose: string, sealed: string): string {
      const [version, body] = sealed.split(".");
      const bytes = Buffer.from(body ?? "", "base64url");
      if (version !== sealVersion || bytes.length < nonceBytes + tagBytes) {
        throw new Error("this is not a sealed value");
      }
      const nonce = bytes.subarray(0, nonceBytes);
      const decipher = createDecipheriv("aes-256-gcm", sealingKey(purpose), nonce, {
        authTagLength: tagBytes,
      });
      decipher.setAuthTag(bytes.subarray(-tagBytes));
      try {
        return (
          decipher.update(bytes.subarray(nonceBytes, -tagBytes), undefined, "utf8") +
          decipher.final("utf8")
        );
      } catch (cause) {
        throw new Error(
          "cannot decrypt a value: the master secret differs, or the value was modified",
          { cause },
        );
      }
    },
  });
}
