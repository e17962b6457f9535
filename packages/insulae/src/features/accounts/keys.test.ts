import { decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../../app/app-api.ts";
import { listKeys, retireKey, rotateKeys } from "../../kernel/identity/key-rotation.ts";
import { signingKeySealer } from "../../kernel/identity/signing-keys.ts";
import { createSecrets } from "../../kernel/lib/secrets.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { testMasterSecret } from "../../testing/test-secret.ts";

let people: TestPeople;
let otherNode: App;
beforeAll(async () => {
  people = await openTestPeople();
  otherNode = await people.openNode();
});
afterAll(async () => {
  await otherNode?.close();
  await people?.close();
});

const sealer = signingKeySealer(createSecrets(testMasterSecret));
const rotate = (now: boolean) =>
  people.app.withPlatform("a test", ({ control }) =>
    rotateKeys(control, { sealer, accessTtlSeconds: 900, now }),
  );
const retire = (id: string) =>
  people.app.withPlatform("a test", ({ control }) => retireKey(control, id));
const list = () => people.app.withPlatform("a test", ({ control }) => listKeys(control));

const statuses = async (token: string) => {
  const request = { url: "/api/v1/auth/me", headers: { authorization: `Bearer ${token}` } };
  const replies = [await people.app.inject(request), await otherNode.inject(request)];
  return replies.map(({ statusCode }) => statusCode);
};
const publishedBy = async (app: App) => {
  const reply = await app.inject({ url: "/.well-known/jwks.json" });
  return reply.json().keys.map(({ kid }: { kid: string }) => kid);
};
const kidOf = (token: string) => decodeProtectedHeader(token).kid ?? "";
const soon = { timeout: 1_000, interval: 10 };

describe("the signing keys of running nodes", () => {
  it("are published before they sign, by every node", async () => {
    const { token } = await people.newAccount();
    const next = await rotate(false);
    for (const app of [people.app, otherNode]) {
      await expect.poll(() => publishedBy(app), soon).toEqual([next, kidOf(token)]);
    }
    expect(kidOf((await people.newAccount()).token)).toBe(kidOf(token));
    const reply = await people.app.inject({ url: "/.well-known/jwks.json" });
    expect(reply.headers["cache-control"]).toBe("public, max-age=300");
    expect(reply.body).not.toContain('"d"');
  });

  it("are exchanged without anybody being signed out", async () => {
    const before = await people.newAccount();
    const next = await rotate(true);
    const kid = async () => kidOf((await people.newAccount()).token);
    await expect.poll(kid, soon).toBe(next);
    const after = await people.newAccount();
    await expect.poll(() => statuses(after.token), soon).toEqual([200, 200]);
    expect(await statuses(before.token)).toEqual([200, 200]);
  });

  it("refuse the tokens of one that is taken out, also those that were known", async () => {
    const { token } = await people.newAccount();
    expect(await statuses(token)).toEqual([200, 200]);
    await rotate(true);
    await retire(kidOf(token));
    await expect.poll(() => statuses(token), soon).toEqual([401, 401]);
    expect((await list()).find(({ id }) => id === kidOf(token))?.state).toBe("retired");
    expect(await publishedBy(otherNode)).not.toContain(kidOf(token));
  });
});
