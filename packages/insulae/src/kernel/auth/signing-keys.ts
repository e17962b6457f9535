/**
 * The keys that sign access tokens. Usually Ed25519 keys of the control plane: the newest signs,
 * all that are not retired verify, and anybody may have the public halves (JWKS). With a secret
 * from the configuration there is one HS256 key, and nothing to publish.
 */
import { webcrypto } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import { type Kysely, sql } from "kysely";
import type { ControlTables } from "../database/control-tables.ts";

type CryptoKey = webcrypto.CryptoKey;

export interface SigningKey {
  /** The `kid` of its tokens; a secret's tokens have none. */
  readonly id: string | undefined;
  readonly algorithm: "EdDSA" | "HS256";
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly publicJwk?: JWK;
}

export interface SigningKeys {
  /** Signs. */
  readonly current: SigningKey;
  /** Verify; `current` is one of them. */
  readonly accepted: readonly SigningKey[];
}

/** Encrypts what is stored, so that the database alone does not give it away. */
export interface Sealer {
  seal(text: string): string;
  open(sealed: string): string;
}

/** Tokens signed with HS256. @param secret at least 32 characters (RFC 7518, section 3.2). */
export async function secretSigningKeys(secret: string): Promise<SigningKeys> {
  if (secret.length < 32) throw new Error("a signing secret has at least 32 characters");
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await webcrypto.subtle.importKey("raw", Buffer.from(secret), algorithm, false, [
    "sign",
    "verify",
  ]);
  const current = { id: undefined, algorithm: "HS256", privateKey: key, publicKey: key } as const;
  return { current, accepted: [current] };
}

/** The Ed25519 keys of the control plane; the first node to ask makes the first one. */
export async function loadSigningKeys(
  control: Kysely<ControlTables>,
  sealer: Sealer,
): Promise<SigningKeys> {
  const rows = await control.transaction().execute(async (tx) => {
    // Two nodes that start together would otherwise make a key each.
    await sql`select pg_advisory_xact_lock(hashtext('insulae.signing_keys'))`.execute(tx);
    const existing = await selectKeys(tx);
    if (existing.length > 0) return existing;
    await tx
      .insertInto("control.signing_keys")
      .values(await newKey(sealer))
      .execute();
    return selectKeys(tx);
  });
  const [current, ...older] = await Promise.all(rows.map((row) => importKey(row, sealer)));
  if (!current) throw new Error("control.signing_keys has no key");
  return { current, accepted: [current, ...older] };
}

const selectKeys = (control: Kysely<ControlTables>) =>
  control
    .selectFrom("control.signing_keys")
    .select(["id", "public_jwk", "sealed_private_jwk"])
    .where("algorithm", "=", "EdDSA")
    .where((eb) => eb.or([eb("retired_at", "is", null), eb("retired_at", ">", sql<Date>`now()`)]))
    // A key with a date of retirement verifies until then, and signs no more.
    .orderBy(sql`retired_at is null`, "desc")
    .orderBy("created_at", "desc")
    .execute();

async function newKey(sealer: Sealer) {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  const publicJwk = await exportJWK(publicKey);
  return {
    id: await calculateJwkThumbprint(publicJwk), // RFC 7638
    algorithm: "EdDSA",
    public_jwk: JSON.stringify(publicJwk),
    sealed_private_jwk: sealer.seal(JSON.stringify(await exportJWK(privateKey))),
  };
}

async function importKey(
  row: Awaited<ReturnType<typeof selectKeys>>[number],
  sealer: Sealer,
): Promise<SigningKey> {
  const asKey = async (jwk: JWK): Promise<CryptoKey> => {
    const key = await importJWK(jwk, "EdDSA");
    if (key instanceof Uint8Array) throw new Error(`signing key ${row.id} is not a key pair`);
    return key;
  };
  const [publicKey, privateKey] = await Promise.all([
    asKey(row.public_jwk),
    asKey(JSON.parse(sealer.open(row.sealed_private_jwk))),
  ]);
  const publicJwk = { ...row.public_jwk, kid: row.id, alg: "EdDSA", use: "sig" };
  return { id: row.id, algorithm: "EdDSA", privateKey, publicKey, publicJwk };
}
