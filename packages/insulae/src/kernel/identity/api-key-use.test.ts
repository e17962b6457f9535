import { pino } from "pino";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { TenantId } from "../lib/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import { createApiKeyUse } from "./api-key-use.ts";

const [a, b] = ["a", "b"].map((id) => ({ id: id as TenantId }) as Tenant) as [Tenant, Tenant];

beforeEach(
  () =>
    void vi.useFakeTimers({
      now: 0,
      // Not `performance`, which other code in this process reads.
      toFake: ["Date", "setTimeout", "clearTimeout", "setInterval", "clearInterval"],
    }),
);
afterEach(() => void vi.useRealTimers());

function setUp() {
  const written: string[] = [];
  const write = vi.fn(async ({ id }: Tenant, usedAt: ReadonlyMap<string, Date>) => {
    for (const [key, time] of usedAt) written.push(`${id} ${key} ${time.getTime()}`);
  });
  return { use: createApiKeyUse({ write, log: pino({ level: "silent" }) }), write, written };
}

it("a key's last use is written once a minute, however often it is used", async () => {
  const { use, write, written } = setUp();
  for (let i = 0; i < 100; i += 1) {
    use.note(a, "key");
    vi.setSystemTime(i);
  }
  use.note(b, "other");
  expect(write).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(written).toEqual(["a key 98", "b other 99"]);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(write).toHaveBeenCalledTimes(2);
  await use.close();
});

it("pending notes are written at close, and nothing afterwards", async () => {
  const { use, write, written } = setUp();
  use.note(a, "key");
  await use.close();
  expect(written).toEqual(["a key 0"]);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(write).toHaveBeenCalledTimes(1);
});

it("a failed write for a tenant does not stop others", async () => {
  const { use, write, written } = setUp();
  write.mockRejectedValueOnce(new Error("its database is away"));
  use.note(a, "key");
  use.note(b, "other");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(written).toEqual(["b other 0"]);
  await use.close();
});
