/**
 * The grants inside the local folder's signed URLs: object, method, expiry. A grant is signed, not
 * encrypted: `<claims>.<signature>`, JSON and its HMAC-SHA-256; every node can verify it. A
 * download ends with its object. Whether an upload is still wanted is recorded in the folder
 * (`local-driver.ts`).
 */
import { createHmac, timingSafeEqual } from "node:crypto";

export interface DownloadGrant {
  readonly method: "GET";
  readonly key: string;
  /** Seconds since 1970. */
  readonly expires: number;
  readonly type: string;
  readonly disposition: string;
}

export interface UploadGrant {
  readonly method: "PUT";
  readonly key: string;
  readonly expires: number;
  readonly type: string;
  readonly size: number;
}

type Grant = DownloadGrant | UploadGrant;

export interface Grants {
  readonly sign: (grant: Grant) => string;
  /** Undefined if the grant is invalid, expired, or for another method. */
  readonly read: <Method extends Grant["method"]>(
    text: string,
    method: Method,
  ) => Extract<Grant, { method: Method }> | undefined;
}

export function createGrants(secret: Uint8Array): Grants {
  const signatureOf = (claims: string) => createHmac("sha256", secret).update(claims).digest();
  return {
    sign(grant) {
      const claims = Buffer.from(JSON.stringify(grant)).toString("base64url");
      return `${claims}.${signatureOf(claims).toString("base64url")}`;
    },
    read(text, method) {
      const [claims = "", signature = "", ...rest] = text.split(".");
      const given = Buffer.from(signature, "base64url");
      const right = signatureOf(claims);
      if (rest.length > 0 || given.length !== right.length || !timingSafeEqual(given, right)) {
        return undefined;
      }
      const grant: Grant = JSON.parse(Buffer.from(claims, "base64url").toString()); // we signed it
      if (grant.method !== method || grant.expires * 1_000 <= Date.now()) return undefined;
      return grant as Extract<Grant, { method: typeof method }>; // by its method
    },
  };
}
