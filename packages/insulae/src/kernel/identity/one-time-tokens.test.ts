import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestInstallation, type TestInstallation } from "../../testing/test-installation.ts";
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import { createOneTimeTokens, type OneTimeTokens } from "./one-time-tokens.ts";
import type { Subject } from "./subject.ts";

let installation: TestInstallation;
let tokens: OneTimeTokens;
beforeAll(async () => {
  installation = await createTestInstallation([]);
  tokens = createOneTimeTokens(installation.control);
});
afterAll(() => installation?.close());

const anAccount = (): Subject => ({ tenantId: null, id: randomUUID() as AccountId });
const issue = (subject: Subject, purpose = "verify-email", ttlSeconds = 60) =>
  tokens.issue({ purpose, subject, ttlSeconds, detail: { email: "ada@example.org" } });

describe("a one-time token", () => {
  it("works once, and returns its subject and detail", async () => {
    const subject = anAccount();
    const token = await issue(subject);
    expect(token).toMatch(/^[\w-]{43}$/);
    const held = { subject, detail: { email: "ada@example.org" } };
    expect(await tokens.find("verify-email", token)).toEqual(held);
    expect(await tokens.redeem("verify-email", token)).toEqual(held);
    expect(await tokens.redeem("verify-email", token)).toBeUndefined();
    expect(await tokens.find("verify-email", token)).toBeUndefined();
  });

  it("works for one of ten concurrent users", async () => {
    const token = await issue(anAccount());
    const results = await Promise.all(
      Array.from({ length: 10 }, () => tokens.redeem("verify-email", token)),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
  });

  it("is valid for its purpose only", async () => {
    const token = await issue(anAccount());
    expect(await tokens.find("password-reset", token)).toBeUndefined();
    expect(await tokens.redeem("password-reset", token)).toBeUndefined();
    expect(await tokens.redeem("verify-email", token)).toBeDefined();
  });

  it("that is one of several leaves older ones valid", async () => {
    const subject = anAccount();
    const one = { purpose: "ticket", subject, ttlSeconds: 60, several: true };
    const all = [await tokens.issue(one), await tokens.issue(one)];
    for (const token of all) expect(await tokens.redeem("ticket", token)).toBeDefined();
  });

  it("replaces the older one of the same purpose and subject, and no other", async () => {
    const subject = anAccount();
    const [old, reset, foreign] = [
      await issue(subject),
      await issue(subject, "password-reset"),
      await issue(anAccount()),
    ];
    const newer = await issue(subject);
    expect(await tokens.redeem("verify-email", old)).toBeUndefined();
    expect(await tokens.redeem("verify-email", newer)).toBeDefined();
    expect(await tokens.redeem("password-reset", reset)).toBeDefined();
    expect(await tokens.redeem("verify-email", foreign)).toBeDefined();
  });

  it("expires", async () => {
    const token = await issue(anAccount(), "verify-email", -1);
    expect(await tokens.find("verify-email", token)).toBeUndefined();
    expect(await tokens.redeem("verify-email", token)).toBeUndefined();
    const kept = await issue(anAccount());
    await tokens.sweep();
    expect(await tokens.find("verify-email", kept)).toBeDefined();
  });

  it("can be revoked", async () => {
    const [subject, other] = [anAccount(), anAccount()];
    const [token, kept] = [await issue(subject), await issue(other)];
    await tokens.revoke("verify-email", subject);
    expect(await tokens.redeem("verify-email", token)).toBeUndefined();
    expect(await tokens.redeem("verify-email", kept)).toBeDefined();
  });

  it("is issued in the caller's transaction, and rolled back with it", async () => {
    let token = "";
    const failing = installation.control.transaction().execute(async (tx) => {
      token = await tokens.issue(
        { purpose: "verify-email", subject: anAccount(), ttlSeconds: 60 },
        tx,
      );
      expect(await tokens.find("verify-email", token, tx)).toBeDefined();
      throw new Error("rolled back");
    });
    await expect(failing).rejects.toThrow("rolled back");
    expect(await tokens.find("verify-email", token)).toBeUndefined();
  });

  it("of a user is deleted with the tenant", async () => {
    const { id: tenantId } = await installation.control
      .insertInto("control.tenants")
      .values({ key: "gone", slug: "gone", name: "Gone", settings: "{}", owner_account_id: null })
      .returning("id")
      .executeTakeFirstOrThrow();
    const token = await issue({ tenantId: tenantId as TenantId, id: randomUUID() as UserId });
    await installation.control.deleteFrom("control.tenants").where("id", "=", tenantId).execute();
    expect(await tokens.find("verify-email", token)).toBeUndefined();
  });

  it("is not stored in the database", async () => {
    const token = await issue(anAccount());
    const { rows } = await sql<{ found: string }>`
      select to_jsonb(t)::text as found from control.one_time_tokens t`.execute(
      installation.control,
    );
    const raw = Buffer.from(token, "base64url").toString("hex");
    for (const { found } of rows) expect(found).not.toMatch(new RegExp(`${token}|${raw}`));
  });
});
