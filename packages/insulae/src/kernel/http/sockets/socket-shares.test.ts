import { describe, expect, test } from "vitest";
import { createSocketShares, type SocketOwner } from "./socket-shares.ts";

const person = (name: string, group: string, isPlatformAdmin = false): SocketOwner => ({
  person: `${group}/${name}`,
  group,
  isPlatformAdmin,
});

/** Opens as many as it may, each by somebody else. @returns what closes them. */
function fill(shares: ReturnType<typeof createSocketShares>, tenant: string) {
  const opened: (() => void)[] = [];
  for (let i = 0; i < 10_000; i += 1) {
    const owner = person(String(i), tenant);
    if (shares.refusal(owner)) break;
    opened.push(shares.add(owner));
  }
  return opened;
}

describe("WebSockets of a process", () => {
  test("can't all be one account's: the next ones still find some", () => {
    const shares = createSocketShares();
    const counts = ["a", "b", "c", "d"].map((tenant) => fill(shares, tenant).length);
    expect(counts).toEqual([1_000, 500, 250, 125]);
    expect(shares.refusal(person("late", "z"))).toBeUndefined();
  });

  test("are kept for platform administrators, whatever tenants have", () => {
    const shares = createSocketShares();
    for (let i = 0; i < 100; i += 1) fill(shares, `tenant-${i}`);
    expect(shares.refusal(person("user", "another"))).toMatchObject({ status: 429 });
    for (let i = 0; i < 100; i += 1) {
      const admin = person(String(i), "", true);
      expect(shares.refusal(admin)).toBeUndefined();
      shares.add(admin);
    }
    expect(shares.refusal(person("last", "", true))).toMatchObject({ status: 429 });
  });

  test("are ten for one person, who may open another when one is closed", () => {
    const shares = createSocketShares();
    const me = person("me", "a");
    const opened = Array.from({ length: 10 }, () => shares.add(me));
    expect(shares.refusal(me)).toMatchObject({
      detail: "One person can have 10 WebSockets open. Close one first.",
    });
    opened[0]?.();
    expect(shares.refusal(me)).toBeUndefined();
  });

  test("are given back by tenants that close them", () => {
    const shares = createSocketShares();
    for (const close of fill(shares, "a")) close();
    expect(fill(shares, "b")).toHaveLength(1_000);
  });
});
