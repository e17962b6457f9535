import { expect, it, vi } from "vitest";
import type { TenantId } from "../lib/ids.ts";
import { createFollowers } from "./followers.ts";

const tenant = "0190aaaa-0000-7000-8000-00000000000a" as TenantId;

function setUp() {
  const followers = createFollowers();
  const one = { tenant: vi.fn(), cache: vi.fn(), anything: vi.fn() };
  const other = { tenant: vi.fn(), anything: vi.fn() };
  followers.add(one);
  followers.add(other);
  return { followers, one, other };
}

it("every follower of a kind receives its announcements, and nobody else", () => {
  const { followers, one, other } = setUp();
  followers.hear(`tenant:${tenant}`);
  followers.hear(`cache:${tenant}:k1`);
  expect([one.tenant.mock.calls, other.tenant.mock.calls]).toEqual([[[tenant]], [[tenant]]]);
  expect(one.cache.mock.calls).toEqual([[tenant, "k1"]]);
  expect([one.anything, other.anything].flatMap(({ mock }) => mock.calls)).toEqual([]);
});

it("all followers learn when announcements may have been missed", () => {
  const { followers, one, other } = setUp();
  followers.missSome();
  expect([one.anything, other.anything].map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
});

it.each(["unknown:1", "", "constructor:1", "anything"])(
  "an unknown announcement (%j) is treated as a gap",
  (payload) => {
    const { followers, one, other } = setUp();
    followers.hear(payload);
    expect([one.anything, other.anything].map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
  },
);

it("a follower must handle missed announcements", () => {
  // @ts-expect-error: `anything` is missing
  createFollowers().add({ tenant() {} });
});
