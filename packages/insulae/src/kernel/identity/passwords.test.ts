import { hash } from "@node-rs/bcrypt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { processorTime } from "../../testing/processor-time.ts";
import { tooManyAtOnce } from "../lib/at-a-time.ts";
import type { Tenant } from "../model/tenant.ts";
import { loadCommonPasswords } from "./common-passwords.ts";
import { createPasswords, passwordsBusy, weakPassword } from "./passwords.ts";

const cheap = { memoryKib: 8, passes: 1 };
const code = async (result: Promise<unknown>): Promise<unknown> =>
  result.then(
    () => "accepted",
    (error) => error.code,
  );

describe("passwords", () => {
  it("are hashed with Argon2id, 19 MiB, two passes, and a salt of their own", async () => {
    const passwords = createPasswords();
    const [one, other] = await Promise.all([
      passwords.hash("secure_password_123"),
      passwords.hash("secure_password_123"),
    ]);
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(other).not.toBe(one);
    expect(await passwords.verify("secure_password_123", one)).toBe(true);
    expect(await passwords.verify("secure_password_124", one)).toBe(false);
  });

  it("have 8 to 128 characters, counted as users perceive them", async () => {
    const { hash } = createPasswords(cheap);
    expect(await code(hash("kq7zw2m"))).toBe(weakPassword.code);
    expect(await code(hash("🦊🐻🦁🐮🐷🐸🐵"))).toBe(weakPassword.code);
    expect(await code(hash("🦊🐻🦁🐮🐷🐸🐵🐔"))).toBe("accepted");
    expect(await code(hash("🦊🐻".repeat(64)))).toBe("accepted");
    expect(await code(hash(`${"🦊🐻".repeat(64)}x`))).toBe(weakPassword.code);
  });

  it("of 128 characters are verified in full", async () => {
    const passwords = createPasswords(cheap);
    const long = `${"0123456789abcdef".repeat(7)}0123456789abcdeX`;
    const hash = await passwords.hash(long);
    expect(await passwords.verify(long, hash)).toBe(true);
    expect(await passwords.verify(`${long.slice(0, 127)}Y`, hash)).toBe(false);
    expect(await passwords.verify(long.slice(0, 127), hash)).toBe(false);
  });

  it("of a megabyte are refused before anything is hashed", async () => {
    // A queue that refuses everything proves that no hash was requested.
    const passwords = createPasswords({ ...cheap, concurrency: 0, queue: 0 });
    const huge = "aB3".repeat(350_000);
    expect(await code(passwords.hash(huge))).toBe(weakPassword.code);
    expect(await passwords.verify(huge, undefined)).toBe(false);
  });

  it("that are among the most common are refused in any case and width", async () => {
    const { hash } = createPasswords(cheap);
    const common = [
      "password",
      "PassWord",
      "12345678",
      "Qwerty123",
      "ｐａｓｓｗｏｒｄ",
      "zzzzzzzzzz",
      "at-least-eight-characters",
      "Change-me-please",
      "changeme-now",
      "<your password>",
    ];
    for (const password of common) {
      expect(await code(hash(password)), password).toBe(weakPassword.code);
    }
  });

  it("are the same however they were typed", async () => {
    const passwords = createPasswords(cheap);
    const hash = await passwords.hash("Zürich-Löwe".normalize("NFD"));
    expect(await passwords.verify("Zürich-Löwe".normalize("NFC"), hash)).toBe(true);
  });

  it("verify for every acceptable text and no other", async () => {
    const passwords = createPasswords(cheap);
    const text = fc.string({ unit: "grapheme", minLength: 9, maxLength: 40 });
    const candidate = text
      .map((value) => `${value} is on no list`)
      .filter((value) => [...value.normalize("NFKC")].length > 8);
    await fc.assert(
      fc.asyncProperty(candidate, candidate, async (chosen, tried) => {
        fc.pre(new Set(chosen).size > 1 && [...chosen].length <= 128);
        const hash = await passwords.hash(chosen);
        expect(await passwords.verify(chosen, hash)).toBe(true);
        const same = chosen.normalize("NFKC") === tried.normalize("NFKC");
        expect(await passwords.verify(tried, hash)).toBe(same);
      }),
      { numRuns: 50 },
    );
  });

  it("are false after the work of a hash if there is none to compare", async () => {
    const passwords = createPasswords({ concurrency: 1 });
    const hash = await passwords.hash("secure_password_123");
    const timed = (hash: string | undefined) =>
      processorTime(async () =>
        expect(await passwords.verify("wrong_password_123", hash)).toBe(false),
      );
    const times: { wrong: number[]; nobody: number[] } = { wrong: [], nobody: [] };
    for (let i = 0; i < 9; i += 1) {
      times.wrong.push(await timed(hash));
      times.nobody.push(await timed(undefined));
    }
    const median = (values: number[]) => values.sort((a, b) => a - b)[4] ?? Number.NaN;
    const [wrong, nobody] = [median(times.wrong), median(times.nobody)];
    expect(nobody).toBeGreaterThan(wrong / 2);
    expect(nobody).toBeLessThan(wrong * 2);
  });

  it("are false for a hash of another kind", async () => {
    const passwords = createPasswords(cheap);
    for (const hash of ["", "plain", "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$YWJj"]) {
      expect(await passwords.verify("secure_password_123", hash)).toBe(false);
    }
  });
});

describe("bcrypt", () => {
  it("hashes verify, whatever algorithm new ones use", async () => {
    const passwords = createPasswords(cheap);
    const made = await hash("correct horse battery", 4);
    for (const prefix of ["2a", "2b", "2y"]) {
      const stored = made.replace(/^\$2b/, `$${prefix}`);
      expect(await passwords.verify("correct horse battery", stored)).toBe(true);
      expect(await passwords.verify("correct horse batterz", stored)).toBe(false);
    }
  });

  it("can be configured, for up to 72 bytes and never truncated", async () => {
    const passwords = createPasswords({ algorithm: "bcrypt", bcryptCost: 4 });
    const longest = `${"0123456789abcdef".repeat(4)}01234567`;
    const stored = await passwords.hash(longest);
    expect(stored).toMatch(/^\$2[by]\$04\$/);
    expect(await passwords.verify(longest, stored)).toBe(true);
    expect(await passwords.verify(`${longest}x`, stored)).toBe(false);
    expect(await createPasswords(cheap).verify(`${longest}x`, stored)).toBe(false);
    expect(await code(passwords.hash(`${longest}x`))).toBe(weakPassword.code);
    expect(await code(passwords.hash(`${"ü".repeat(36)}x`))).toBe(weakPassword.code);
    expect(await code(passwords.hash("password1"))).toBe(weakPassword.code);
  });

  it("takes as long for unknown users", async () => {
    const passwords = createPasswords({ algorithm: "bcrypt", bcryptCost: 10, concurrency: 1 });
    const stored = await passwords.hash("correct horse battery");
    const timed = (known: string | undefined) =>
      processorTime(async () =>
        expect(await passwords.verify("a wrong password", known)).toBe(false),
      );
    const wrong: number[] = [];
    const nobody: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      wrong.push(await timed(stored));
      nobody.push(await timed(undefined));
    }
    expect(Math.min(...nobody)).toBeGreaterThan(Math.min(...wrong) / 2);
  });

  it("is subject to the same concurrency limit", async () => {
    const passwords = createPasswords({
      algorithm: "bcrypt",
      bcryptCost: 6,
      concurrency: 2,
      queue: 10,
    });
    const results = await Promise.all(
      Array.from({ length: 200 }, () => code(passwords.verify("a wrong password", undefined))),
    );
    expect(results.filter((result) => result === "accepted")).toHaveLength(12);
  });
});

describe("a hash is renewed", () => {
  const password = "correct horse battery";

  it("when its algorithm or cost differs from new ones, and only then", async () => {
    const argon2 = createPasswords(cheap);
    const dearer = createPasswords({ memoryKib: 16, passes: 1 });
    const bcrypt = createPasswords({ algorithm: "bcrypt", bcryptCost: 4 });
    const made = [
      await argon2.hash(password),
      await dearer.hash(password),
      await bcrypt.hash(password),
      await hash(password, 5),
    ];
    for (const passwords of [argon2, dearer, bcrypt]) {
      const renewed = await Promise.all(made.map((each) => passwords.renew(password, each)));
      expect(renewed.filter((each) => each === undefined)).toHaveLength(1);
      for (const each of renewed) {
        if (each === undefined) continue;
        expect(await passwords.verify(password, each)).toBe(true);
        expect(await passwords.renew(password, each)).toBeUndefined();
      }
    }
  });

  it("not if bcrypt could not hold the password, nor while others wait", async () => {
    const long = "0123456789abcdef".repeat(8);
    const stored = await createPasswords(cheap).hash(long);
    const bcrypt = createPasswords({ algorithm: "bcrypt", bcryptCost: 4 });
    expect(await bcrypt.verify(long, stored)).toBe(true);
    expect(await bcrypt.renew(long, stored)).toBeUndefined();
    const busy = createPasswords({ memoryKib: 16, passes: 1, concurrency: 0, queue: 0 });
    expect(await busy.renew(long, stored)).toBeUndefined();
  });
});

describe("a flood of log-ins", () => {
  it("runs a bounded number of hashes, lets some wait, and refuses the rest at once", async () => {
    const passwords = createPasswords({ concurrency: 2, queue: 10 });
    const results = await Promise.all(
      Array.from({ length: 200 }, () => code(passwords.verify("a wrong password", undefined))),
    );
    expect(results.filter((result) => result === "accepted")).toHaveLength(12);
    expect(results.filter((result) => result === passwordsBusy.code)).toHaveLength(188);
    expect(await passwords.verify("and later it works again", undefined)).toBe(false);
  });

  it("of one tenant leaves other tenants their turns and room to wait", async () => {
    const passwords = createPasswords({ concurrency: 1, queue: 64 });
    const tenant = (id: string, ownerAccountId?: string) =>
      passwords.of({ id, ownerAccountId } as Pick<Tenant, "id" | "ownerAccountId">);
    const [one, other] = [tenant("a"), tenant("b")];
    const done: string[] = [];
    const verify = async (name: string, whose = passwords) => {
      const result = await code(whose.verify("a wrong password", undefined));
      done.push(`${name} ${result}`);
    };
    const flood = Array.from({ length: 100 }, () => verify("one", one));
    await Promise.all([...flood, verify("other", other), verify("platform")]);
    const served = done.filter((each) => each.endsWith("accepted"));
    expect(served.slice(0, 4)).toEqual(
      expect.arrayContaining(["other accepted", "platform accepted"]),
    );
    expect(done.filter((each) => each === "one accepted")).toHaveLength(33);
    expect(done.filter((each) => each === `one ${tooManyAtOnce.code}`)).toHaveLength(67);
  });

  it("of an account's five tenants leaves everybody else's log-ins their turns and room", async () => {
    const passwords = createPasswords({ ...cheap, concurrency: 1, queue: 64 });
    const tenant = (id: number, ownerAccountId: string) =>
      passwords.of({ id: String(id), ownerAccountId } as Pick<Tenant, "id" | "ownerAccountId">);
    const done: string[] = [];
    const verify = async (name: string, whose: typeof passwords) => {
      done.push(`${name} ${await code(whose.verify("a wrong password", undefined))}`);
    };
    const flood = Array.from({ length: 100 }, (_, i) => verify("flood", tenant(i % 5, "mallory")));
    await Promise.all([
      ...flood,
      verify("tenant", tenant(9, "ada")),
      verify("platform", passwords),
    ]);
    const served = done.filter((each) => each.endsWith("accepted"));
    expect(served.slice(0, 5)).toEqual(
      expect.arrayContaining(["tenant accepted", "platform accepted"]),
    );
    expect(served).toHaveLength(65);
  });

  it("is told when to retry", async () => {
    const { hash } = createPasswords({ ...cheap, concurrency: 0, queue: 0 });
    await expect(hash("secure_password_123")).rejects.toMatchObject({
      status: 503,
      headers: { "retry-after": "1" },
    });
  });
});

describe("the list of common passwords", () => {
  it("is in lower case, and long", async () => {
    const words = await loadCommonPasswords();
    expect(words.size).toBeGreaterThan(10_000);
    for (const word of words) expect(word).toBe(word.toLowerCase());
  });
});
