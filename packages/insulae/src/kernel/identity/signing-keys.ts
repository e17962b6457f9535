/**
 * The keys for access tokens. Usually Ed25519 keys in the control plane: the newest whose time has
 * come signs, all that are not retired verify, and the public keys are published (JWKS). With a
 * secret from the configuration there is one HS256 key, and nothing is published.
 *
 *     published ── signs_from ──► signs ── the next one's signs_from ──► verifies ── retired_at ──► refused
 */
import { webcrypto } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import { type Kysely, sql } from "kysely";
import type { Secrets } from "../lib/secrets.ts";
import type { ControlTables } from "../schema/control-tables.ts";

type CryptoKey = webcrypto.CryptoKey;

export interface SigningKey {
  /** The `kid` of its tokens; absent with a secret. */
  readonly id: string | undefined;
  readonly algorithm: "EdDSA" | "HS256";
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly publicJwk?: JWK;
  /** From when it signs, unless a newer one does; in milliseconds since 1970. */
  readonly signsFrom: number;
  /** From when it is refused, in milliseconds since 1970; `Infinity` if not scheduled. */
  readonly retiresAt: number;
}

/** All keys that are not retired, newest first; never empty. */
export type SigningKeys = readonly SigningKey[];

export function signingKeyOf(keys: SigningKeys, now: number): SigningKey {
  const accepted = acceptedKeys(keys, now);
  // With a clock that is behind, no key's time has come.
  const key = accepted.find(({ signsFrom }) => signsFrom <= now) ?? accepted.at(-1);
  if (!key) throw new Error("there is no key to sign with");
  return key;
}

export const acceptedKeys = (keys: SigningKeys, now: number): SigningKeys =>
  keys.filter(({ retiresAt }) => retiresAt > now);

/** Encrypts stored keys, so that the database alone does not reveal them. */
export interface Sealer {
  seal(text: string): string;
  open(sealed: string): string;
}

export const signingKeySealer = (secrets: Pick<Secrets, "seal" | "open">): Sealer => ({
  seal: (text) => secrets.seal("signing-key", text),
  open: (sealed) => secrets.open("signing-key", sealed),
});

/** Tokens signed with HS256. @param secret at least 32 characters (RFC 7518, section 3.2) */
export async function secretSigningKeys(secret: string): Promise<SigningKeys> {
  if (secret.length < 32) throw new Error("a signing secret has at least 32 characters");
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await webcrypto.subtle.importKey("raw", Buffer.from(secret), algorithm, false, [
    "sign",
    "verify",
  ]);
  const always = { signsFrom: 0, retiresAt: Number.POSITIVE_INFINITY };
  return [{ id: undefined, algorithm: "HS256", privateKey: key, publicKey: key, ...always }];
}

/** Loads the control plane's Ed25519 keys; creates the first one if there is none. */
export async function loadSigningKeys(
  control: Kysely<ControlTables>,
  sealer: Sealer,
): Promise<SigningKeys> {
  const existing = await selectKeys(control);
  const rows = existing.length > 0 ? existing : await control.transaction().execute(makeFirst);
  return Promise.all(rows.map((row) => importKey(row, sealer)));

  async function makeFirst(tx: Kysely<ControlTables>) {
    // Otherwise two nodes that start together would each create a key.
    await lockSigningKeys(tx);
    const made = await selectKeys(tx);
    if (made.length > 0) return made;
    await tx
      .insertInto("control.signing_keys")
      .values(await newKey(sealer))
      .execute();
    return selectKeys(tx);
  }
}

/** Prevents concurrent creation and retirement until the end of the transaction. */
export const lockSigningKeys = (tx: Kysely<ControlTables>) =>
  sql`select pg_advisory_xact_lock(hashtext('insulae.signing_keys'))`.execute(tx);

const selectKeys = (control: Kysely<ControlTables>) =>
  control
    .selectFrom("control.signing_keys")
    .select(["id", "public_jwk", "sealed_private_jwk", "signs_from", "retired_at"])
    .where("algorithm", "=", "EdDSA")
    .where((eb) => eb.or([eb("retired_at", "is", null), eb("retired_at", ">", sql<Date>`now()`)]))
    .orderBy("signs_from", "desc")
    .execute();

export async function newKey(sealer: Sealer) {
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
  return {
    id: row.id,
    algorithm: "EdDSA",
    privateKey,
    publicKey,
    publicJwk,
    signsFrom: row.signs_from.getTime(),
    retiresAt: row.retired_at?.getTime() ?? Number.POSITIVE_INFINITY,
  };
}
