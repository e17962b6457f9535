import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestApp } from "../../testing/index.ts";
import type { TestApp as App } from "../../testing/test-app.ts";

let app: App;

beforeAll(async () => {
  app = await createTestApp();
});

afterAll(() => app?.close());

async function kept(detail: Record<string, unknown>) {
  const id = crypto.randomUUID();
  await app.audit({ action: "thing.done", target: { type: "thing", id }, detail });
  return app.withPlatform("read the log", async ({ control }) => {
    const entry = await control
      .selectFrom("control.audit_log")
      .select("detail")
      .where("target_id", "=", id)
      .executeTakeFirstOrThrow();
    return entry.detail as Record<string, unknown>;
  });
}

test("a detail of up to 4 KiB is stored unchanged", async () => {
  const detail = { reason: "x".repeat(4_000), n: 1 };
  expect(await kept(detail)).toEqual(detail);
});

test("the largest members of a longer detail are cut, and the entry says so", async () => {
  const detail = {
    all: Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`k${n}`, "é".repeat(1_000)])),
    reason: "🦆".repeat(5_000),
    role: "admin",
  };
  expect(await kept(detail)).toEqual({
    truncated: true,
    reason: `${"🦆".repeat(100)}…`,
    role: "admin",
  });
});

test("many members are cut as few are", async () => {
  const many = Object.fromEntries(
    Array.from({ length: 20_000 }, (_, n) => [`k${n}`, "é".repeat(9)]),
  );
  const cut = await kept(many);
  expect(cut).toMatchObject({ truncated: true, k0: "é".repeat(9) });
  expect(Buffer.byteLength(JSON.stringify(cut))).toBeLessThanOrEqual(4_096);
});
