import { decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestInstallation, type TestInstallation } from "../../testing/test-installation.ts";
import type { AccountId } from "../lib/ids.ts";
import { createSecrets } from "../lib/secrets.ts";
import { listKeys, retireKey, rotateKeys } from "./key-rotation.ts";
import { loadSigningKeys, type SigningKeys, signingKeySealer } from "./signing-keys.ts";
import { createTokens } from "./tokens.ts";

let installation: TestInstallation;
beforeAll(async () => {
  installation = await createTestInstallation([]);
});
afterAll(() => installation?.close());

const sealerOf = (masterSecret: string) => signingKeySealer(createSecrets(masterSecret));
const sealer = sealerOf("0123456789abcdef0123456789abcdef");
const load = () => loadSigningKeys(installation.control, sealer);
const tokensOf = (signing: SigningKeys) =>
  createTokens({ signing, issuer: () => "us", audience: "us", accessTtlSeconds: 900 });
const account = { accountId: "0198a1b2-0000-7000-8000-000000000001" as AccountId, isOwner: false };

describe("the signing keys of the control plane", () => {
  it("are created once, however many nodes start concurrently", async () => {
    const all = await Promise.all([load(), load(), load(), load()]);
    expect(new Set(all.map(([key]) => key?.id)).size).toBe(1);
    expect(
      await installation.control.selectFrom("control.signing_keys").select("id").execute(),
    ).toHaveLength(1);
  });

  it("verify on another node and after a restart", async () => {
    const token = await tokensOf(await load()).sign(account, { id: "s", epoch: "e" });
    const { subject } = await tokensOf(await load()).verify(token);
    expect(subject).toBe(account.accountId);
  });

  it("are stored encrypted, and useless without the master secret", async () => {
    await load();
    const [row] = await installation.control
      .selectFrom("control.signing_keys")
      .selectAll()
      .execute();
    expect(JSON.stringify(row)).not.toContain('"d"');
    expect(JSON.parse(sealer.open(row?.sealed_private_jwk ?? ""))).toHaveProperty("d");
    const stranger = sealerOf("another secret, of 32 characters");
    await expect(loadSigningKeys(installation.control, stranger)).rejects.toThrow("master secret");
  });

  it("overlap at a rotation: the new one signs later, the old one keeps verifying", async () => {
    const { control } = installation;
    const [old] = await load();
    const options = { sealer, accessTtlSeconds: 900, now: false };
    const id = await rotateKeys(control, options);
    const states = (await listKeys(control)).map((key) => [key.id, key.state]);
    expect(states).toEqual([
      [id, "next"],
      [old?.id, "signing"],
    ]);
    const [next, before] = await load();
    expect(before?.id).toBe(old?.id);
    // Published for ten minutes, then the last token's quarter of an hour, and a minute.
    expect(before?.retiresAt).toBeCloseTo((next?.signsFrom ?? 0) + 960_000, -3);
    expect(next?.signsFrom).toBeGreaterThan(Date.now() + 590_000);
  });

  it("can sign at once, and are refused once retired", async () => {
    const { control } = installation;
    const token = await tokensOf(await load()).sign(account, { id: "s", epoch: "e" });
    const { kid } = decodeProtectedHeader(token);
    await expect(retireKey(control, "no such key")).rejects.toMatchObject({
      code: "key_not_found",
    });
    const id = await rotateKeys(control, { sealer, accessTtlSeconds: 900, now: true });
    const during = tokensOf(await load());
    expect(decodeProtectedHeader(await during.sign(account, { id: "s", epoch: "e" })).kid).toBe(id);
    expect(await during.verify(token)).toMatchObject({ subject: account.accountId });
    await retireKey(control, kid ?? "");
    const after = tokensOf(await load());
    await expect(after.verify(token)).rejects.toMatchObject({ code: "invalid_token" });
    await retireKey(control, kid ?? "");
  });

  it("can't all be retired", async () => {
    const { control } = installation;
    const left = (await listKeys(control)).filter(({ state }) => state !== "retired");
    const outcomes = [];
    for (const { id } of left) {
      outcomes.push(
        await retireKey(control, id).then(
          () => "gone",
          (error) => error.code,
        ),
      );
    }
    expect(outcomes).toContain("last_key");
    expect((await listKeys(control)).filter(({ state }) => state === "signing")).toHaveLength(1);
  });
});
