/**
 * Refresh tokens: opaque to clients, `ir_` and 68 bytes in base64url.
 *
 *     session id (16) · generation (4) · secret (32) · MAC (16)
 *
 * A session's first secret is random. Each successor is derived from its predecessor with a key of
 * the platform, so the same successor can be issued twice although only its hash is stored. The MAC
 * distinguishes genuine tokens, however old, from forgeries: only a genuine one ends the session
 * when reused. Neither the database nor the master secret alone suffices to make a valid token.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Secrets } from "../lib/secrets.ts";

export interface RefreshToken {
  readonly sessionId: string;
  /** The number of the session's earlier tokens. */
  readonly generation: number;
  readonly secret: Buffer;
}

export interface RefreshTokens {
  /** The token's text form. */
  print(token: RefreshToken): string;
  /** The token if it is genuine; whether it is still valid is the session's matter. */
  parse(text: string): RefreshToken | undefined;
  /** The next token; deterministic. */
  successor(token: RefreshToken): RefreshToken;
}

const prefix = "ir_";
const idBytes = 16;
const secretBytes = 32;
const sealBytes = 16;
const bodyBytes = idBytes + 4 + secretBytes;

/**
 * @example
 * const refreshTokens = createRefreshTokens(secrets);
 * const text = refreshTokens.print({ sessionId, generation: 0, secret: newRefreshSecret() });
 * refreshTokens.parse(text)?.sessionId === sessionId;
 */
export function createRefreshTokens(secrets: Pick<Secrets, "derive">): RefreshTokens {
  const sealKey = secrets.derive("refresh-token:seal", 32);
  const successorKey = secrets.derive("refresh-token:successor", 32);
  const sealOf = (body: Buffer) =>
    createHmac("sha256", sealKey).update(body).digest().subarray(0, sealBytes);

  return {
    print(token) {
      const body = bytesOf(token);
      return prefix + Buffer.concat([body, sealOf(body)]).toString("base64url");
    },
    parse(text) {
      if (!text.startsWith(prefix)) return undefined;
      const bytes = Buffer.from(text.slice(prefix.length), "base64url");
      // Base64 has several encodings of the same bytes; a token has one.
      if (bytes.length !== bodyBytes + sealBytes) return undefined;
      if (prefix + bytes.toString("base64url") !== text) return undefined;
      const body = bytes.subarray(0, bodyBytes);
      if (!timingSafeEqual(sealOf(body), bytes.subarray(bodyBytes))) return undefined;
      return {
        sessionId: uuidOf(body.subarray(0, idBytes)),
        generation: body.readUInt32BE(idBytes),
        secret: body.subarray(idBytes + 4),
      };
    },
    successor(token) {
      const secret = createHmac("sha256", successorKey).update(bytesOf(token)).digest();
      return { sessionId: token.sessionId, generation: token.generation + 1, secret };
    },
  };
}

export const newRefreshSecret = (): Buffer => randomBytes(secretBytes);

/** The stored hash. The secret has 256 random bits, so a fast hash suffices. */
export const hashRefreshSecret = (secret: Buffer): Buffer =>
  createHash("sha256").update(secret).digest();

function bytesOf({ sessionId, generation, secret }: RefreshToken): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(generation);
  return Buffer.concat([Buffer.from(sessionId.replaceAll("-", ""), "hex"), number, secret]);
}

const uuidOf = (bytes: Buffer): string =>
  bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
