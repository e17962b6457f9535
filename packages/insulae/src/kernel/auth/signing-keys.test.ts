import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestInstallation, type TestInstallation } from "../../testing/test-installation.ts";
import { createSecrets } from "../secrets.ts";
import type { AccountId } from "../tenancy/tenant.ts";
import { loadSigningKeys, type Sealer, type SigningKeys } from "./signing-keys.ts";
import { createTokens } from "./tokens.ts";

let installation: TestInstallation;
beforeAll(async () => {
  installation = await createTestInstallation([]);
});
afterAll(() => installation?.close());

const sealerOf = (masterSecret: string): Sealer => {
  const secrets = createSecrets(masterSecret);
  return {
    seal: (text) => secrets.seal("signing-key", text),
    open: (sealed) => secrets.open("signing-key", sealed),
  };
};
const sealer = sealerOf("0123456789abcdef0123456789abcdef");
const load = () => loadSigningKeys(installation.control, sealer);
const tokensOf = (signing: SigningKeys) =>
  createTokens({ signing, issuer: "us", audience: "us", accessTtlSeconds: 900 });
const account = { accountId: "0198a1b2-0000-7000-8000-000000000001" as AccountId, isOwner: false };

describe("the signing keys of the control plane", () => {
  it("are made once, however many nodes start at the same time", async () => {
    const all = await Promise.all([load(), load(), load(), load()]);
    expect(new Set(all.map(({ current }) => current.id)).size).toBe(1);
    expect(
      await installation.control.selectFrom("control.signing_keys").select("id").execute(),
    ).toHaveLength(1);
  });

  it("verify on another node, and after a restart, what was signed on one", async () => {
    const token = await tokensOf(await load()).sign(account, { id: "s", epoch: "e" });
    const { subject } = await tokensOf(await load()).verify(token);
    expect(subject).toBe(account.accountId);
  });

  it("are stored sealed, and of no use without the master secret", async () => {
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

  it("go on verifying for as long as they are given when they are replaced", async () => {
    const { control } = installation;
    const before = await load();
    const token = await tokensOf(before).sign(account, { id: "s", epoch: "e" });
    const retire = (at: Date) =>
      control
        .updateTable("control.signing_keys")
        .set({ retired_at: at })
        .where("id", "=", before.current.id ?? "")
        .execute();

    await control
      .insertInto("control.signing_keys")
      .columns(["id", "algorithm", "public_jwk", "sealed_private_jwk"])
      .expression((eb) =>
        eb
          .selectFrom("control.signing_keys")
          .select([eb.val("next").as("id"), "algorithm", "public_jwk", "sealed_private_jwk"])
          .where("id", "=", before.current.id ?? ""),
      )
      .execute();
    await retire(new Date(Date.now() + 60_000));
    const during = await load();
    expect(during.current.id).toBe("next");
    expect(await tokensOf(during).verify(token)).toMatchObject({ subject: account.accountId });

    await retire(new Date(Date.now() - 1_000));
    const after = tokensOf(await load());
    await expect(after.verify(token)).rejects.toMatchObject({ code: "invalid_token" });
    expect((await after.jwks()).keys).toEqual([expect.objectContaining({ kid: "next" })]);
  });
});
