import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { App } from "../../app.ts";
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

test("a list by name has letters with marks where they are without", async () => {
  const own = await createMember(app);
  for (const name of ["Zoe", "Ärger", "arger", "Émile", "Eva", "Zoë", "Żaba", "Øre"]) {
    expect((await own.call("POST", "/contacts", { name })).status).toBe(201);
  }
  const names: string[] = [];
  for (let cursor = ""; ; ) {
    const { body } = await own.call("GET", `/contacts?sort=name&limit=2${cursor}`);
    names.push(...body.items.map(({ name }: { name: string }) => name));
    if (body.next_cursor === null) break;
    cursor = `&cursor=${body.next_cursor}`;
  }
  expect(names).toEqual(["Ärger", "arger", "Émile", "Eva", "Żaba", "Zoe", "Zoë", "Øre"]);
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
});
