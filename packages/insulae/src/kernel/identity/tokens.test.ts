import { createHmac, randomUUID } from "node:crypto";
import fc from "fast-check";
import {
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  SignJWT,
} from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import { type SigningKey, type SigningKeys, secretSigningKeys } from "./signing-keys.ts";
import { type Claims, createTokens, type TokenSubject } from "./tokens.ts";

const issuer = "https://api.example.com";
const audience = "insulae";

async function edDsaKey(id: string): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
  const publicJwk = { ...(await exportJWK(publicKey)), kid: id, alg: "EdDSA", use: "sig" };
  const always = { signsFrom: 0, retiresAt: Number.POSITIVE_INFINITY };
  return { id, algorithm: "EdDSA", privateKey, publicKey, publicJwk, ...always };
}

const only = (key: SigningKey): SigningKeys => [key];
const user: TokenSubject = {
  userId: randomUUID() as UserId,
  tenantId: randomUUID() as TenantId,
  role: "user",
  permissions: new Set(["contacts:read", "contacts:write"]),
};
const account: TokenSubject = { accountId: randomUUID() as AccountId, isOwner: true };

const session = { id: "s1", epoch: "e1" };

let key: SigningKey;
beforeAll(async () => {
  key = await edDsaKey("first");
});

const tokensOf = (signing: SigningKeys, clock?: () => number) => {
  let replaceKeys: (keys: SigningKeys) => void = () => undefined;
  const tokens = createTokens({
    signing,
    followKeys(replace) {
      replaceKeys = replace;
      return () => undefined;
    },
    issuer: () => issuer,
    audience,
    accessTtlSeconds: 900,
    ...(clock && { clock }),
  });
  return { ...tokens, replaceKeys };
};

/** The payload of a valid token; tests change one claim at a time. */
const goodClaims = () => ({
  sub: "0198a1b2-0000-7000-8000-000000000001",
  user_id: "0198a1b2-0000-7000-8000-000000000001",
  tenant_id: "0198a1b2-0000-7000-8000-00000000000a",
  role: "user",
  permissions: ["contacts:read"],
  sid: "s1",
  epoch: "e1",
  jti: "j1",
  token_type: "access",
  iss: issuer,
  aud: audience,
  iat: Math.floor(Date.now() / 1000),
  exp: Math.floor(Date.now() / 1000) + 900,
});

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

async function signRaw(payload: unknown, header: object = {}): Promise<string> {
  const input = `${base64url({ alg: "EdDSA", typ: "JWT", kid: "first", ...header })}.${base64url(payload)}`;
  const signature = await crypto.subtle.sign("Ed25519", key.privateKey, Buffer.from(input));
  return `${input}.${Buffer.from(signature).toString("base64url")}`;
}

const outcome = async (verify: () => Claims | Promise<Claims>): Promise<string> => {
  try {
    await verify();
    return "accepted";
  } catch (error) {
    expect(error).toMatchObject({
      code: "invalid_token",
      status: 401,
      message: "Invalid or expired token",
    });
    return "refused";
  }
};

describe("an access token", () => {
  it("contains subject, tenant, role, permissions and expiry", async () => {
    const token = await tokensOf(only(key)).sign(user, session);
    const { userId, tenantId } = user as Extract<TokenSubject, { userId: UserId }>;
    expect(decodeProtectedHeader(token)).toEqual({ alg: "EdDSA", typ: "JWT", kid: "first" });
    const payload = decodeJwt(token);
    expect(payload).toEqual({
      sub: userId,
      user_id: userId,
      tenant_id: tenantId,
      role: "user",
      permissions: ["contacts:read", "contacts:write"],
      sid: "s1",
      epoch: "e1",
      token_type: "access",
      iss: issuer,
      aud: audience,
      jti: expect.any(String),
      iat: expect.any(Number),
      exp: (payload.iat ?? 0) + 900,
    });
    expect(await tokensOf(only(key)).verify(token)).toEqual({
      kind: "token",
      subject: userId,
      tenantId,
      sessionId: "s1",
      tokenId: payload.jti,
      epoch: "e1",
      impersonator: undefined,
      issuedAt: payload.iat,
      expiresAt: payload.exp,
    });
  });

  it("of an account names no tenant, and says whether it owns any", async () => {
    const tokens = tokensOf(only(key));
    const token = await tokens.sign(account, session);
    const payload = decodeJwt(token);
    expect(payload).toMatchObject({ is_owner: true });
    for (const name of ["tenant_id", "role", "permissions"])
      expect(payload).not.toHaveProperty(name);
    expect(await tokens.verify(token)).toMatchObject({ subject: payload.sub, tenantId: undefined });
  });

  it("keeps its session, and is unique each time", async () => {
    const tokens = tokensOf(only(key));
    const [one, two] = await Promise.all([tokens.sign(user, session), tokens.sign(user, session)]);
    const [first, second] = await Promise.all([tokens.verify(one), tokens.verify(two)]);
    expect([first.sessionId, second.sessionId]).toEqual(["s1", "s1"]);
    expect(first.tokenId).not.toBe(second.tokenId);
  });

  it("expires, even if cached", async () => {
    let now = Date.now();
    const tokens = tokensOf(only(key), () => now);
    const token = await tokens.sign(user, session);
    expect(await outcome(() => tokens.verify(token))).toBe("accepted");
    now += 899_000;
    expect(await outcome(() => tokens.verify(token))).toBe("accepted");
    now += 1_000;
    expect(await outcome(() => tokens.verify(token))).toBe("refused");
    expect(await outcome(() => tokens.verify(token))).toBe("refused");
  });

  it("is verified synchronously the second time", async () => {
    const tokens = tokensOf(only(key));
    const token = await tokens.sign(user, session);
    expect(tokens.verify(token)).toBeInstanceOf(Promise);
    const claims = await tokens.verify(token);
    expect(tokens.verify(token)).toBe(claims);
    // Each request has its own copy of the string.
    expect(tokens.verify(Buffer.from(token).toString())).toBe(claims);
  });
});

describe("a token is refused", () => {
  it("never, if nothing is wrong with it (the control of this block)", async () => {
    const token = await signRaw(goodClaims());
    expect(await outcome(() => tokensOf(only(key)).verify(token))).toBe("accepted");
  });

  it.each([
    ["an array", [goodClaims()]],
    ["a string", "sub"],
    ["null", null],
    ["without exp", { ...goodClaims(), exp: undefined }],
    ["with exp as a string", { ...goodClaims(), exp: "9999999999" }],
    ["with exp as null", { ...goodClaims(), exp: null }],
    ["without iat", { ...goodClaims(), iat: undefined }],
    ["with iat as a string", { ...goodClaims(), iat: "1" }],
    ["with an array of issuers", { ...goodClaims(), iss: [issuer] }],
    ["of another issuer", { ...goodClaims(), iss: `${issuer}/` }],
    ["without an issuer", { ...goodClaims(), iss: undefined }],
    ["for an array of audiences", { ...goodClaims(), aud: [audience] }],
    ["for another audience", { ...goodClaims(), aud: "console" }],
    ["without an audience", { ...goodClaims(), aud: undefined }],
    ["of the kind refresh", { ...goodClaims(), token_type: "refresh" }],
    ["of the kind reset", { ...goodClaims(), token_type: "reset" }],
    ["of several kinds", { ...goodClaims(), token_type: ["access"] }],
    ["of no kind", { ...goodClaims(), token_type: undefined }],
    ["without a subject", { ...goodClaims(), sub: undefined }],
    ["with a number for a subject", { ...goodClaims(), sub: 1, user_id: 1 }],
    ["with a name for a subject", { ...goodClaims(), sub: "root", user_id: "root" }],
    ["with two subjects", { ...goodClaims(), user_id: randomUUID() }],
    ["in a tenant, without a role", { ...goodClaims(), role: undefined }],
    ["in no context at all", { ...goodClaims(), tenant_id: undefined }],
    ["for several tenants", { ...goodClaims(), tenant_id: [goodClaims().tenant_id] }],
    ["for a tenant by name", { ...goodClaims(), tenant_id: "acme" }],
    ["for a tenant by an id that is a name", { ...goodClaims(), tid: "acme" }],
    ["with no id of the tenant where there should be one", { ...goodClaims(), tid: null }],
  ])("whose payload is %s", async (_what, payload) => {
    const token = await signRaw(payload);
    expect(await outcome(() => tokensOf(only(key)).verify(token))).toBe("refused");
  });

  it.each([
    ["names no key", { kid: undefined }],
    ["names an unknown key", { kid: "../../etc/passwd" }],
    ["says where to fetch a key", { jku: "https://evil.example/jwks.json" }],
    ["says where to fetch a certificate", { x5u: "https://evil.example/cert.pem" }],
    ["brings a certificate", { x5c: ["MIIB"] }],
    ["brings a key", { jwk: { kty: "OKP", crv: "Ed25519", x: "AAAA" } }],
    ["has critical extensions", { crit: ["exp"] }],
    ["is of another type", { typ: "refresh+jwt" }],
    ["has no type", { typ: undefined }],
    ["spells the algorithm otherwise", { alg: "Ed25519" }],
  ])("whose header %s", async (_what, header) => {
    const token = await signRaw(goodClaims(), header);
    expect(await outcome(() => tokensOf(only(key)).verify(token))).toBe("refused");
  });

  it("that is not signed", async () => {
    const { verify } = tokensOf(only(key));
    for (const alg of ["none", "None", "NONE"]) {
      const input = `${base64url({ alg, typ: "JWT", kid: "first" })}.${base64url(goodClaims())}`;
      for (const signature of ["", "x"]) {
        expect(await outcome(() => verify(`${input}.${signature}`))).toBe("refused");
      }
    }
  });

  it("whose secret is our public key", async () => {
    const { verify } = tokensOf(only(key));
    const secrets = [
      await exportSPKI(key.publicKey),
      JSON.stringify(key.publicJwk),
      key.publicJwk?.x,
    ];
    for (const secret of secrets) {
      const input = `${base64url({ alg: "HS256", typ: "JWT", kid: "first" })}.${base64url(goodClaims())}`;
      const signature = createHmac("sha256", secret ?? "")
        .update(input)
        .digest("base64url");
      expect(await outcome(() => verify(`${input}.${signature}`))).toBe("refused");
    }
  });

  it("signed by another key under our key's id", async () => {
    const { privateKey } = await edDsaKey("first");
    const token = await new SignJWT(goodClaims())
      .setProtectedHeader({ alg: "EdDSA", typ: "JWT", kid: "first" })
      .sign(privateKey);
    expect(await outcome(() => tokensOf(only(key)).verify(token))).toBe("refused");
  });

  it("with an algorithm other than the configured one", async () => {
    const secret = tokensOf(await secretSigningKeys("0123456789abcdef0123456789abcdef"));
    const pair = tokensOf(only(key));
    const [hs256, edDsa] = await Promise.all([
      secret.sign(user, session),
      pair.sign(user, session),
    ]);
    expect(await outcome(() => secret.verify(hs256))).toBe("accepted");
    expect(await outcome(() => secret.verify(edDsa))).toBe("refused");
    expect(await outcome(() => pair.verify(hs256))).toBe("refused");
    expect(await secret.jwks()).toEqual({ keys: [] });
  });

  it("with any character changed", async () => {
    const tokens = tokensOf(only(key));
    const token = await tokens.sign(user, session);
    await tokens.verify(token);
    const position = fc.nat(token.length - 1);
    await fc.assert(
      fc.asyncProperty(position, fc.constantFrom(..."Aaz09-_.= "), async (at, letter) => {
        const edited = token.slice(0, at) + letter + token.slice(at + 1);
        fc.pre(edited !== token);
        expect(await outcome(() => tokens.verify(edited))).toBe("refused");
      }),
      { numRuns: 300 },
    );
  });

  it("in another encoding of the same signature", async () => {
    const tokens = tokensOf(only(key));
    const token = await tokens.sign(user, session);
    const bytes = (text: string) => Buffer.from(text.slice(text.lastIndexOf(".") + 1), "base64url");
    const spellings = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
      .map((letter) => token.slice(0, -1) + letter)
      .filter((other) => other !== token && bytes(other).equals(bytes(token)));
    expect(spellings).toHaveLength(15);
    for (const other of [...spellings, `${token}=`, `${token} `]) {
      expect(await outcome(() => tokens.verify(other))).toBe("refused");
    }
  });

  it("for any other text", async () => {
    const { verify } = tokensOf(only(key));
    const garbage = fc.oneof(
      fc.string(),
      fc.array(fc.base64String(), { size: "small" }).map((parts) => parts.join(".")),
    );
    await fc.assert(
      fc.asyncProperty(garbage, async (text) => {
        expect(await outcome(() => verify(text))).toBe("refused");
      }),
    );
  });
});

describe("the signing keys", () => {
  it("verify while they are in the set, and not a moment longer", async () => {
    const next = await edDsaKey("next");
    const tokens = tokensOf(only(key));
    const old = await tokens.sign(user, session);
    expect(await outcome(() => tokens.verify(old))).toBe("accepted");

    tokens.replaceKeys([next, key]);
    const fresh = await tokens.sign(user, session);
    expect(await outcome(() => tokens.verify(old))).toBe("accepted");
    expect(await outcome(() => tokens.verify(fresh))).toBe("accepted");

    tokens.replaceKeys(only(next));
    expect(await outcome(() => tokens.verify(old))).toBe("refused");
    expect(await outcome(() => tokens.verify(fresh))).toBe("accepted");
  });

  it("do not verify results requested before they were retired", async () => {
    const tokens = tokensOf(only(key));
    const next = await edDsaKey("next");
    const token = await tokens.sign(user, session);
    const pending = outcome(() => tokens.verify(token));
    tokens.replaceKeys(only(next));
    expect(await pending).toBe("refused");
    expect(await outcome(() => tokens.verify(token))).toBe("refused");
  });

  it("sign when their time has come, and verify until they are retired", async () => {
    let now = Date.now();
    const start = now;
    const next = { ...(await edDsaKey("next")), signsFrom: start + 600_000 };
    const old = { ...key, retiresAt: start + 700_000 };
    const tokens = tokensOf([next, old], () => now);
    const kidOf = async () => decodeProtectedHeader(await tokens.sign(user, session)).kid;
    const published = async () => (await tokens.jwks()).keys.map(({ kid }) => kid);
    const token = await tokens.sign(user, session);
    expect([await kidOf(), await published()]).toEqual(["first", ["next", "first"]]);
    now = start + 600_000;
    expect(await kidOf()).toBe("next");
    expect(await outcome(() => tokens.verify(token))).toBe("accepted");
    // The token has not expired, and is cached.
    now = start + 700_000;
    expect(await outcome(() => tokens.verify(token))).toBe("refused");
    expect(await published()).toEqual(["next"]);
  });

  it("verify no token beyond the current lifetime, whatever it was signed for", async () => {
    const long = await signRaw({ ...goodClaims(), exp: goodClaims().exp + 86_400 });
    let now = Date.now();
    const tokens = tokensOf(only(key), () => now);
    expect(await outcome(() => tokens.verify(long))).toBe("accepted");
    now += 901_000;
    expect(await outcome(() => tokens.verify(long))).toBe("refused");
    expect(await outcome(() => tokensOf(only(key), () => now).verify(long))).toBe("refused");
  });

  it("are published without their private halves", async () => {
    const { keys } = await tokensOf(only(key)).jwks();
    expect(keys).toEqual([
      { kty: "OKP", crv: "Ed25519", x: key.publicJwk?.x, kid: "first", alg: "EdDSA", use: "sig" },
    ]);
  });

  it("are refused if the secret is short", async () => {
    await expect(secretSigningKeys("0123456789abcdef0123456789abcde")).rejects.toThrow("32");
  });
});
