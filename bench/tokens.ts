import { createHmac } from "node:crypto";

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A JWT (RFC 7519) signed with HMAC-SHA-256 for the baselines, valid for a day. */
export function signHs256(claims: object, secret: string): string {
  const expires = Math.floor(Date.now() / 1000) + 86_400;
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ ...claims, exp: expires })}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}
