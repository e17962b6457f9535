import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";

let app: App;
let member: TestMember;

beforeAll(async () => {
  app = await createTestApp();
  member = await createMember(app);
});
afterAll(() => app?.close());

const add = async (path: string, body: object) => {
  const { status, text } = await member.call("POST", path, body);
  expect(status, text).toBe(201);
};
const found = async (path: string, q: string): Promise<string[]> => {
  const separator = path.includes("?") ? "&" : "?";
  const answer = await member.call("GET", `${path}${separator}q=${encodeURIComponent(q)}`);
  expect(answer.status, answer.text).toBe(200);
  return answer.body.items.map(
    (item: { name?: string; title?: string }) => item.name ?? item.title,
  );
};

describe("what looks the same is found", () => {
  const composed = "Café Zoë";
  const decomposed = "Résidence Noël".normalize("NFD");

  beforeAll(async () => {
    for (const name of [composed, decomposed]) {
      await add("/contacts", { name });
      await add("/products", { name, price: "1.00" });
      await add("/documents", { title: name, content: `In ${name}.` });
    }
  });

  test.each([
    "/contacts",
    "/products",
    "/documents",
    "/search?types=contacts",
    "/search?types=products",
    "/search?types=documents",
  ])("at %s, however its letters are composed", async (path) => {
    for (const form of ["NFC", "NFD"]) {
      expect(await found(path, "Zoë".normalize(form))).toEqual([composed]);
      expect(await found(path, "noël".normalize(form))).toEqual([decomposed]);
    }
  });

  test.each(["/contacts", "/products", "/documents", "/search"])(
    "at %s, with blanks around it",
    async (path) => {
      expect(new Set(await found(path, " zoë \u3000"))).toEqual(new Set([composed]));
    },
  );

  test.each(["/contacts", "/products", "/search?types=contacts"])(
    "at %s, in full-width letters",
    async (path) => {
      expect(await found(path, "Ｃafé")).toEqual([composed]);
    },
  );

  test("blanks alone are no search of a list, and find nothing in a search", async () => {
    expect(await found("/contacts", "  ")).toHaveLength(2);
    expect((await member.call("GET", "/search?q=%20%20")).status).toBe(400);
  });
});

describe("texts without blanks", () => {
  const japanese = "今日は東京都に行きました。ラーメン、iPhone手機“Tokio”";
  beforeAll(() => add("/documents", { title: "日記", content: japanese }));

  test.each([
    "東京",
    "東京都",
    "京都",
    "都",
    "行きました",
    "ラーメン",
    "手機",
    "iphone",
    "日記",
    "東京 ラーメン",
    '"東京都"',
    "大阪 or 東京",
    "東京 -大阪",
    "iphone 東京",
    "tokio",
    "“Tokio”",
  ])("are found by their word %s", async (q) => {
    // A search has two characters at least.
    expect(await found("/search?types=documents", q.length < 2 ? `${q} ${q}` : q)).toEqual([
      "日記",
    ]);
  });

  test.each(["東都", "大阪", "京東", "東京 大阪", "東京 -ラーメン", "iphone 大阪"])(
    "aren't found by %s",
    async (q) => expect(await found("/search?types=documents", q)).toEqual([]),
  );
});

describe("what is written in several ways is found in each", () => {
  beforeAll(async () => {
    for (const name of ["ΟΔΥΣΣΕΥΣ", "Straße", "Hidden"]) {
      const more = name === "Hidden" ? "co\u00adope\u200bra\u2060te\ufeff" : "";
      await add("/contacts", { name, phone: more || null });
      await add("/documents", { title: name, content: more });
    }
  });

  test.each([
    ["Οδυσσευς", "ΟΔΥΣΣΕΥΣ"],
    ["οδυσσευσ", "ΟΔΥΣΣΕΥΣ"],
    ["STRASSE", "Straße"],
    ["STRAẞE", "Straße"],
    ["cooperate", "Hidden"],
    ["coop\u00aderate", "Hidden"],
  ])("as %j", async (q, name) => {
    for (const path of ["/contacts", "/search?types=contacts", "/search?types=documents"]) {
      expect(await found(path, q), path).toEqual([name]);
    }
  });

  test("characters that nobody sees are no search of a list, and find nothing in a search", async () => {
    expect((await found("/contacts", "\u200b\u00ad")).length).toBeGreaterThan(2);
    expect(await found("/search", "\u200b\u00ad")).toEqual([]);
  });
});

describe("what is written with marks between its parts", () => {
  const content =
    "see https://example.org/alpha?x=1 now, in /usr/local/etc/nginx.conf, of INV-2026/0042 and -15," +
    " by grace@corp.example, at <b>bold</b>claim e-mail 9.50 v1.2.3 snake_case";
  beforeAll(async () => {
    await add("/documents", { title: "marks", content });
    await add("/documents", { title: "others", content: "INV-2025/0042 of 2026, org example" });
  });

  test.each([
    "https://example.org/alpha?x=1",
    '"https://example.org/alpha?x=1"',
    '"see https://example.org/alpha?x=1 now"',
    "example.org/alpha",
    "alpha",
    "nginx",
    "/usr/local/etc/nginx.conf",
    "nginx.conf",
    "INV-2026/0042",
    "2026/0042",
    '"-15"',
    "15",
    "corp.example",
    "grace@corp.example",
    "mail",
    "e-mail",
    "9.50",
    "v1.2.3",
    "snake",
    "snake_case",
    "alpha -missing",
    "alpha -other-thing",
    "nothing or https://example.org",
  ])("is found by %s", async (q) => {
    expect(await found("/search?types=documents", q)).toEqual(["marks"]);
  });

  test.each([
    "example.org -alpha",
    "nginx -nginx.conf",
    "0042/2026",
    "alpha.org",
    '"now alpha"',
    "claim -15",
  ])("isn't found by %s", async (q) =>
    expect(await found("/search?types=documents", q)).not.toContain("marks"),
  );

  test("is found by its other words in either text", async () => {
    expect(new Set(await found("/search?types=documents", "0042"))).toEqual(
      new Set(["marks", "others"]),
    );
  });
});

test("a list by name has letters with marks where they are without", async () => {
  const own = await createMember(app);
  for (const name of [
    "Zoe",
    "Ärger",
    "arger",
    "Émile",
    "Eva",
    "Zoë",
    "Żaba",
    "Øre",
    "Ｆａｘ",
    "ﬁx",
    "中",
  ]) {
    expect((await own.call("POST", "/contacts", { name })).status).toBe(201);
  }
  const names: string[] = [];
  for (let cursor = ""; ; ) {
    const { body } = await own.call("GET", `/contacts?sort=name&limit=2${cursor}`);
    names.push(...body.items.map(({ name }: { name: string }) => name));
    if (body.next_cursor === null) break;
    cursor = `&cursor=${body.next_cursor}`;
  }
  expect(names).toEqual([
    ...["Ärger", "arger", "Émile", "Eva", "Ｆａｘ", "ﬁx", "Żaba", "Zoe", "Zoë", "Øre", "中"],
  ]);
});

describe("in the database", () => {
  const ask = <T>(expression: ReturnType<typeof sql>): Promise<T> =>
    app.withTenant<Record<never, never>, T>(member.tenant, async ({ db }) => {
      const { rows } = await sql<{ value: T }>`select ${expression} as value`.execute(db);
      return (rows[0] as { value: T }).value; // there is one row
    });

  test("a long text is normalised as a whole, whatever its pieces", async () => {
    for (const text of [
      "Noël fait ".normalize("NFD").repeat(1_000),
      "é".repeat(5_000),
      `${"a".repeat(999)} é${"b".repeat(2_000)}`,
      "é ".repeat(1_500),
      `x${"が각각".normalize("NFD").repeat(1_000)}`,
      "é\n\r\n".normalize("NFD").repeat(1_000),
      "é",
      "",
    ]) {
      expect(await ask(sql`app.search_text(${text})`)).toBe(text.normalize("NFKC").toLowerCase());
    }
  });

  test("a hundred thousand marks are normalised in a fraction of a second", async () => {
    const text = `a${"\u0300\u0316".repeat(50_000)}`;
    // The statement's time-out is its bound; as a whole it would take ten seconds and more.
    expect(await ask(sql`length(app.search_text(${text}))`)).toBe(text.length - 1); // à
    await add("/documents", { title: "marks", content: text.slice(0, 99_000) });
  });

  test.each([
    "app.search_text(given)",
    "app.spaced_text(given)",
    "app.search_vector('', given)",
    "app.sort_key(given)",
  ])("%s takes eight times as long for a text eight times as long", async (expression) => {
    const times = 8;
    // Milliseconds in the server, the shortest of several: what other processes add is not in all of them.
    const shortest = async (piece: string, length: number) => {
      const took: number[] = [];
      for (let run = 0; run < 3; run += 1) {
        took.push(
          await app.withTenant<Record<never, never>, number>(member.tenant, async ({ db }) => {
            const text = piece.repeat(length / piece.length);
            const { rows } = await sql<{ "QUERY PLAN": [{ "Execution Time": number }] }>`
              explain (analyze, format json) select ${sql.raw(expression)}
              from (select ${text}::text || clock_timestamp()::text as given) as texts`.execute(db);
            return rows[0]?.["QUERY PLAN"][0]["Execution Time"] ?? Number.NaN;
          }),
        );
      }
      return Math.min(...took);
    };
    for (const piece of ["Noël fait ", "é", "e\u0301", "東京"]) {
      let ratio = Number.POSITIVE_INFINITY;
      // Quadratic work has a ratio of 64.
      for (let attempt = 0; attempt < 4 && ratio >= 3 * times; attempt += 1) {
        const base = Math.max(await shortest(piece, 25_000), 1);
        ratio = Math.min(ratio, (await shortest(piece, 25_000 * times)) / base);
      }
      expect(ratio, piece).toBeLessThan(3 * times);
    }
  });

  test("the longest names have a key that an index takes", async () => {
    for (const character of ["\u{1f600}", "한", "\u{1d160}", "ﷺ", "\u{1f82}"]) {
      await add("/contacts", { name: character.repeat(200) });
      await add("/products", { name: character.repeat(200), price: "1.00" });
    }
  });

  test("the longest document of different characters fits", async () => {
    const characters = Array.from({ length: 80_000 }, (_, i) =>
      String.fromCodePoint(0x4e00 + ((i * 7_919) % 20_000)),
    );
    await add("/documents", { title: "all", content: characters.join("") });
  });

  test("a document with more words than PostgreSQL indexes is saved, and found by its first", async () => {
    // Each is five or six letters once it is normalised: 250 KB become 1.3 MB.
    const squares = [..."㌇㌕㌖㌗㌠㌫㌲"];
    const words = Array.from({ length: 8_000 }, (_, i) =>
      Array.from({ length: 10 }, (_, place) => squares[Math.floor(i / 7 ** place) % 7]).join(""),
    );
    await add("/documents", { title: "squares", content: `Anfang ${words.join(" ")}` });
    expect(await found("/search?types=documents", "anfang")).toEqual(["squares"]);
  });
});
