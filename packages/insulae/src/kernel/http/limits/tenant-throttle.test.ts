import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { TenantId } from "../../lib/ids.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { createTenantThrottle } from "./tenant-throttle.ts";

const [a, b] = ["a" as TenantId, "b" as TenantId];
const tickMs = 50;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A server whose event loop is as busy as `loop` says. */
function open(loop = { busy: true }) {
  const metrics = createMetrics();
  const throttle = createTenantThrottle({ metrics, isBusy: () => loop.busy });
  const begun: string[] = [];
  /** A request, and functions that end it or disconnect its client. */
  const request = (tenant: TenantId | undefined, name: string) => {
    let end = () => {};
    const answer = {
      isGone: false,
      onClose(work: () => void) {
        end = work;
      },
    };
    const turn = throttle(tenant, answer);
    if (turn) turn.then(() => begun.push(name));
    else begun.push(name);
    return () => {
      answer.isGone = true;
      end();
    };
  };
  const requests = (tenant: TenantId, count: number) =>
    Array.from({ length: count }, (_, i) => request(tenant, `${tenant}${i + 1}`));
  const begunNow = async () => {
    await Promise.resolve();
    return begun.splice(0);
  };
  /** Makes another tenant active. */
  const another = async () => {
    request(a, "");
    request(b, "");
    await begunNow();
  };
  return { loop, metrics, request, requests, begunNow, another };
}

test("all requests of a single active tenant run at once", async () => {
  const { requests, begunNow } = open();
  requests(a, 64);
  expect(await begunNow()).toHaveLength(64);
});

test("while another tenant is active, two run, and the next begins when one finishes", async () => {
  const { metrics, requests, request, begunNow, another } = open();
  await another();
  const [first] = requests(b, 5);
  // One is running already.
  expect(await begunNow()).toEqual(["b1"]);
  request(a, "a");
  expect(await begunNow()).toEqual(["a"]);
  first?.();
  expect(await begunNow()).toEqual(["b2"]);
  expect(await metrics.text()).toContain("insulae_requests_queued_total 4\n");
});

test("requests without a tenant never wait", async () => {
  const { request, begunNow, another } = open();
  await another();
  for (let i = 0; i < 5; i += 1) request(undefined, "account");
  expect(await begunNow()).toHaveLength(5);
});

test("while the event loop has spare time, the limit rises with each tick", async () => {
  const { loop, requests, begunNow, another } = open({ busy: false });
  await another();
  const ends = requests(b, 64);
  await begunNow();
  const each: number[] = [];
  for (let i = 0; i < 4; i += 1) {
    vi.advanceTimersByTime(tickMs);
    const { length } = await begunNow();
    each.push(length);
    for (const end of ends.splice(0, length)) end();
    // Only as many continue as were begun.
    await begunNow();
  }
  expect(each).toEqual([3, 4, 5, 7]);
  loop.busy = true;
  vi.advanceTimersByTime(tickMs);
  expect(await begunNow()).toHaveLength(2);
});

test("requests that run longer than a tick don't count", async () => {
  const { requests, begunNow, another } = open();
  await another();
  const ends = requests(b, 6);
  await begunNow();
  vi.advanceTimersByTime(tickMs);
  expect(await begunNow()).toEqual(["b2", "b3"]);
  vi.advanceTimersByTime(tickMs);
  expect(await begunNow()).toEqual(["b4", "b5"]);
  // It finishes at last, and frees no place that it no longer had.
  ends[0]?.();
  expect(await begunNow()).toEqual([]);
});

test("a client that disconnects while waiting is skipped and uses no place", async () => {
  const { requests, begunNow, another } = open();
  await another();
  const [first, second, third] = requests(b, 5);
  await begunNow();
  second?.();
  third?.();
  first?.();
  expect(await begunNow()).toEqual(["b4"]);
});

test("all waiting requests begin when no other tenant was active for a second", async () => {
  const { requests, begunNow, another } = open();
  await another();
  requests(b, 100);
  await begunNow();
  vi.advanceTimersByTime(900);
  expect((await begunNow()).length).toBeLessThan(50);
  vi.advanceTimersByTime(150);
  const rest = await begunNow();
  expect(rest.at(-1)).toBe("b100");
  requests(b, 5);
  expect(await begunNow()).toHaveLength(5);
});
