import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { AuditEntry } from "../audit/audit.ts";
import type { Tenant } from "../model/tenant.ts";
import { createLogger, type Logger } from "../telemetry/log.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { createCrossTenantAudit } from "./cross-tenant.ts";
import type { CrossTenantAttempt } from "./resolution.ts";

const minuteMs = 60_000;

beforeEach(() => {
  // Not `performance`, which other code in this process reads.
  vi.useFakeTimers({
    toFake: ["Date", "setTimeout", "clearTimeout", "setInterval", "clearInterval"],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const tenant = (key: string) => ({ id: `id-${key}`, key }) as Tenant;

const attempt = (user: string, from = "a", to: string | undefined = "b"): CrossTenantAttempt => ({
  user,
  userTenant: tenant(from),
  requestTenant: to === undefined ? undefined : tenant(to),
  named: to ?? "nowhere",
  request: undefined,
});

/** @param write stands for the database */
function start(write: (entry: AuditEntry) => Promise<void> = async () => {}) {
  const entries: AuditEntry[] = [];
  const lines: unknown[] = [];
  const log = createLogger("silent");
  const metrics = createMetrics();
  const crossTenant = createCrossTenantAudit({
    sourceOf: () => ({ ip: undefined, userAgent: undefined, requestId: undefined }),
    audit: (entry) => {
      entries.push(entry);
      return write(entry);
    },
    log: { ...log, warn: (...line: unknown[]) => lines.push(line) } as unknown as Logger,
    metrics,
  });
  const ofPlatform = () => entries.filter((entry) => entry.tenant === undefined);
  return { ...crossTenant, entries, ofPlatform, lines, metrics };
}

const times = (count: number, fn: (i: number) => void) => {
  for (let i = 0; i < count; i += 1) fn(i);
};

describe("attempts on another tenant", () => {
  test("are recorded at once, and repeats together once a minute, with their number", async () => {
    const { note, entries, ofPlatform, lines } = start();
    times(5_000, () => note(attempt("eve")));
    await vi.advanceTimersByTimeAsync(0);
    // In the platform's log, and in both tenants'.
    expect(entries).toHaveLength(3);
    await vi.advanceTimersByTimeAsync(minuteMs + 5_000);
    expect(ofPlatform().map(({ detail }) => detail?.count)).toEqual([undefined, 4_999]);
    expect(entries).toHaveLength(6);
    expect(entries.every(({ outcome }) => outcome === "refused")).toBe(true);
    expect(lines).toHaveLength(2);
  });

  test("that continue make one entry a minute", async () => {
    const { note, ofPlatform } = start();
    for (let second = 0; second < 600; second += 1) {
      times(20, () => note(attempt("eve")));
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(ofPlatform().length).toBeLessThanOrEqual(11);
    const counted = ofPlatform().map(({ detail }) => Number(detail?.count ?? 1));
    expect(counted.reduce((sum, count) => sum + count)).toBeGreaterThan(10_000);
  });

  test("are distinguished by user, their tenant and the requested one", async () => {
    const { note, ofPlatform } = start();
    note(attempt("eve"));
    note(attempt("mallory"));
    note(attempt("eve", "c"));
    note(attempt("eve", "a", "d"));
    await vi.advanceTimersByTimeAsync(0);
    expect(ofPlatform()).toHaveLength(4);
  });

  test("on unknown tenants count as one, however many names are tried", async () => {
    const { note, entries } = start();
    times(1_000, (i) => {
      note({ ...attempt("eve"), requestTenant: undefined, named: `guess-${i}`.repeat(1_000) });
    });
    await vi.advanceTimersByTimeAsync(0);
    expect(entries).toHaveLength(2);
    expect(JSON.stringify(entries).length).toBeLessThan(2_000);
  });

  test("by very many users are dropped, counted, and logged once", async () => {
    const { note, ofPlatform, lines, metrics } = start();
    times(5_000, (i) => note(attempt(`user-${i}`)));
    await vi.advanceTimersByTimeAsync(0);
    expect(ofPlatform()).toHaveLength(100);
    expect(lines).toHaveLength(101);
    expect(await metrics.text()).toContain("cross_tenant_attempts_dropped_total 4900");
    // Others are still recorded, up to a total.
    note(attempt("eve", "c", "d"));
    times(5_000, (i) => note(attempt("eve", `from-${i}`, `to-${i}`)));
    await vi.advanceTimersByTimeAsync(0);
    expect(ofPlatform()).toHaveLength(1_000);
  });

  test("wait in line while the database is slow, and are all written before the end", async () => {
    const answers: (() => void)[] = [];
    const { note, entries, close } = start(() => new Promise((resolve) => answers.push(resolve)));
    times(50, (i) => note(attempt(`user-${i}`)));
    // Two attempts at a time, of three entries each, however long it takes.
    for (let minute = 0; minute < 10; minute += 1) {
      times(1_000, (i) => note(attempt(`user-${i % 50}`)));
      await vi.advanceTimersByTimeAsync(minuteMs);
    }
    expect(entries).toHaveLength(6);
    let closed = false;
    const closing = close().then(() => {
      closed = true;
    });
    for (let round = 0; !closed && round < 1_000; round += 1) {
      for (const answer of answers.splice(0)) answer();
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(closed).toBe(true);
    await closing;
    const platform = entries.filter((entry) => entry.tenant === undefined);
    const counted = platform.map(({ detail }) => Number(detail?.count ?? 1));
    expect(counted.reduce((sum, count) => sum + count)).toBe(10_050);
    // One entry of each pair waits, however many minutes pass.
    expect(counted).toHaveLength(100);
  });
});
