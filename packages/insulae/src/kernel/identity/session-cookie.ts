/**
 * The value of a session cookie: opaque to browsers, 48 bytes in base64url.
 *
 *     secret (32) · MAC (16)
 *
 * The MAC distinguishes genuine cookies from guesses, which therefore never reach the database. The
 * database stores only the secret's hash.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Secrets } from "../lib/secrets.ts";

export interface SessionCookies {
  /** A new cookie, and the hash that identifies its session. */
  create(): { readonly text: string; readonly hash: Buffer };
  /** The hash, if the cookie is genuine. */
  hashOf(text: string): Buffer | undefined;
  /** The CSRF token: known only to pages of this host or of allowed origins. */
  csrfToken(sessionId: string): string;
}

const secretBytes = 32;
const sealBytes = 16;

export function createSessionCookies(secrets: Pick<Secrets, "derive">): SessionCookies {
  const sealKey = secrets.derive("session-cookie:seal", 32);
  const csrfKey = secrets.derive("session-cookie:csrf", 32);
  const sealOf = (secret: Buffer) =>
    createHmac("sha256", sealKey).update(secret).digest().subarray(0, sealBytes);

  return {
    create() {
      const secret = randomBytes(secretBytes);
      const text = Buffer.concat([secret, sealOf(secret)]).toString("base64url");
      return { text, hash: storedHash(secret) };
    },
    hashOf(text) {
      const bytes = Buffer.from(text, "base64url");
      // Base64 has several encodings of the same bytes; a cookie has one.
      if (bytes.length !== secretBytes + sealBytes || bytes.toString("base64url") !== text) {
        return undefined;
      }
      const secret = bytes.subarray(0, secretBytes);
      const genuine = timingSafeEqual(sealOf(secret), bytes.subarray(secretBytes));
      return genuine ? storedHash(secret) : undefined;
    },
    csrfToken: (sessionId) => createHmac("sha256", csrfKey).update(sessionId).digest("base64url"),
  };
}

/** The secret has 256 random bits, so a fast hash suffices. */
const storedHash = (secret: Buffer): Buffer => createHash("sha256").update(secret).digest();
