import { sql } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { containing } from "../../kernel/data/like.ts";
import { hasWords, searching } from "../../kernel/data/search.ts";
import { isolations, type Tenant } from "../../kernel/model/tenant.ts";
import { addMember, createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import type { TestApp as App } from "../../testing/test-app.ts";

let app: App;

beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app?.close());

interface Result {
  type: string;
  id: string;
  title: string;
  detail: string | null;
  score: number;
}

const find = async ({ call }: TestMember, q: string, more = ""): Promise<Result[]> => {
  const { status, body, text } = await call("GET", `/search?q=${encodeURIComponent(q)}${more}`);
  expect(status, text).toBe(200);
  return body.items;
};
const titles = async (member: TestMember, q: string, more = "") =>
  (await find(member, q, more)).map(({ title }) => title);

const fill = async ({ call }: TestMember) => {
  for (const [path, body] of [
    ["/contacts", { name: "Grace Hopper", email: "grace@navy.example", company: "US Navy" }],
    ["/contacts", { name: "Ada Lovelace", phone: "+44 20 7946" }],
    ["/products", { name: "Compiler", sku: "CMP-1", price: "9.50", description: "by Hopper" }],
    [
      "/documents",
      { title: "Minutes", content: "The ship was met by Admiral Hopper <b>today</b>" },
    ],
    ["/documents", { title: "Grasshoppers", content: "green" }],
  ] as const) {
    const { status, text } = await call("POST", path, body);
    expect(status, text).toBe(201);
  }
};

describe.each(isolations)("in a tenant with isolation %s", (isolation) => {
  test("everything is found that fits, the best first, and nothing of another tenant's", async () => {
    const [a, b] = await Promise.all([createMember(app, isolation), createMember(app, isolation)]);
    await fill(a);
    const found = await find(a, "hopper");
    expect(found[0]).toMatchObject({ type: "contacts", title: "Grace Hopper" });
    expect(found.map(({ type }) => type).toSorted()).toEqual(["contacts", "documents", "products"]);
    expect(found.map(({ score }) => score)).toEqual(
      found.map(({ score }) => score).toSorted((x, y) => y - x),
    );
    const document = found.find(({ type }) => type === "documents");
    expect(document?.detail).toMatch(/Admiral Hopper +today/);
    expect((await a.call("GET", `/contacts/${found[0]?.id}`)).body.name).toBe("Grace Hopper");
    expect(await find(b, "hopper")).toEqual([]);
    expect((await b.call("GET", "/contacts?q=hopper&total=true")).body.total).toBe(0);

    // What was searched for is forgotten with its transaction.
    await app.withTenant<Record<never, never>, void>(a.tenant, async ({ db }) => {
      // On the connection that the search had, as there is no other.
      const all = () =>
        db.transaction().execute(async (tx) => {
          const { rows } = await sql`select id from contacts_search`.execute(tx);
          return rows;
        });
      expect(await all()).toEqual([]);
      await searching(db, { text: "ada" }, async (tx) => {
        const { rows } = await sql<{ name: string }>`select name from contacts_search`.execute(tx);
        expect(rows).toEqual([{ name: "Ada Lovelace" }]);
      });
      expect(await all()).toEqual([]);
      for (const statement of [
        "insert into contacts_search (name) values ('x')",
        "update contacts_search set name = 'x'",
        "delete from contacts_search",
      ]) {
        await expect(db.query(statement)).rejects.toMatchObject({ code: "42501" });
      }
    });
  });
});

describe("finds", () => {
  let member: TestMember;
  beforeAll(async () => {
    member = await createMember(app);
    await fill(member);
  });

  test("what is misspelt", async () => {
    expect(await titles(member, "Hoper", "&types=contacts")).toEqual(["Grace Hopper"]);
    expect(await titles(member, "lovlace")).toEqual(["Ada Lovelace"]);
    expect(await titles(member, "zzzz")).toEqual([]);
  });

  test("documents as a search engine does", async () => {
    const only = "&types=documents";
    expect(await titles(member, "admiral ship", only)).toEqual(["Minutes"]);
    expect(await titles(member, '"admiral ship"', only)).toEqual([]);
    expect(await titles(member, '"admiral hopper"', only)).toEqual(["Minutes"]);
    expect(await titles(member, "green or ship", only)).toHaveLength(2);
    expect(await titles(member, "hopper -ship", only)).toEqual([]);
  });

  test("parts of words, e-mails, numbers; and % and _ and \\ as themselves", async () => {
    expect(await titles(member, "@navy")).toEqual(["Grace Hopper"]);
    expect(await titles(member, "20 79")).toEqual(["Ada Lovelace"]);
    expect(await titles(member, "cmp-1")).toEqual(["Compiler"]);
    for (const q of ["%%", "__", "\\\\", "'; drop table x; --", "':*|!&<->()"]) {
      expect(await titles(member, q)).toEqual([]);
    }
  });

  test("nothing for a text without two letters or digits, which no index could find", async () => {
    await member.call("POST", "/contacts", { name: "Wool 100%%" });
    expect(await titles(member, "100%%")).toEqual(["Wool 100%%"]);
    for (const q of ["%%", "%".repeat(200), "0%%"]) expect(await titles(member, q)).toEqual([]);
    expect(["東!", "12", "é1", "ह1"].filter(hasWords)).toHaveLength(4);
    expect(["「」", "a!", "😀😀", "・・"].filter(hasWords)).toEqual([]);
  });

  test("only so many, and only the types that are asked for", async () => {
    expect(await find(member, "hopper", "&limit=1")).toHaveLength(1);
    const some = await find(member, "hopper", "&types=products&types=documents");
    expect(some.map(({ type }) => type).toSorted()).toEqual(["documents", "products"]);
    for (const query of ["q=", "q=a", "q=%20%20", "q=aa&types=orders", "q=aa&limit=51", ""]) {
      expect((await member.call("GET", `/search?${query}`)).status).toBe(400);
    }
  });
});

test("nobody finds what they may not see", async () => {
  const { tenant } = await createMember(app);
  const admin = await addMember(app, tenant, "admin");
  const viewer = await addMember(app, tenant, "viewer");
  await fill(admin);
  expect((await find(admin, "example.com", "&types=users")).length).toBeGreaterThan(1);
  expect(await find(viewer, "example.com", "&types=users")).toEqual([]);
  expect((await find(viewer, "hopper")).length).toBe(3);
  const { body } = await admin.call("POST", "/api-keys", {
    name: "search",
    scopes: ["search:read", "products:read"],
  });
  const reply = await app.inject({
    url: "/api/v1/search?q=hopper",
    headers: { "x-api-key": body.key },
  });
  expect(reply.json().items.map(({ type }: Result) => type)).toEqual(["products"]);
});

/** Many rows, as the owner writes them, and statistics. */
async function plant(tenants: readonly Tenant[], each: number) {
  const owner = new pg.Client({ connectionString: app.config.databaseUrl });
  await owner.connect();
  try {
    for (const { id } of tenants) {
      await owner.query("begin");
      await owner.query("select set_config('app.current_tenant_id', $1, true)", [id]);
      await owner.query("set local role insulae_owner");
      await owner.query(
        `insert into data.contacts (name, email, company)
         select 'Person ' || md5(n::text), 'user' || n || '@example.com', 'Company ' || n % 50
         from generate_series(1, $1) n`,
        [each],
      );
      await owner.query(
        `insert into data.documents (title, content)
         select 'Text ' || n, 'word' || n % 2000 || ' among others'
         from generate_series(1, $1) n`,
        [each],
      );
      await owner.query("commit");
    }
    await owner.query("analyze data.contacts, data.documents");
  } finally {
    await owner.end();
  }
}

describe("among many rows", () => {
  let a: TestMember;
  beforeAll(async () => {
    a = await createMember(app);
    await plant([a.tenant, (await createMember(app)).tenant], 20_000);
  }, 60_000);

  const planOf = (text: string, from: string) =>
    app.withTenant<Record<never, never>, string>(a.tenant, ({ db }) =>
      searching(db, { text }, async (tx) => {
        const { rows } = await sql<Record<string, string>>`
          explain (analyze, costs off, timing off, summary off)
          select id from ${sql.raw(from)} limit ${25}`.execute(tx);
        return rows.map((row) => row["QUERY PLAN"]).join("\n");
      }),
    );

  test("an index finds them, in spite of Row-Level Security", async () => {
    const plan = await planOf("user19999@", "contacts_search");
    expect(plan).toMatch(/Bitmap Index Scan on contacts_search_idx .*rows=[12](\.\d+)? loops/);
    expect(plan).not.toMatch(/Seq Scan on contacts /);
    expect(await planOf("word1999", "documents_search")).toMatch(
      /Bitmap Index Scan on documents_search_idx .*rows=10(\.\d+)? loops/,
    );
    // What this is for: the same condition on the table itself can't use it.
    expect(await planOf("x", "contacts where search like '%user19999@%'")).not.toContain(
      "contacts_search_idx",
    );
  });

  test("a plan for something frequent is not kept for something rare", async () => {
    const plans = await app.withTenant<Record<never, never>, unknown>(a.tenant, ({ db }) =>
      searching(db, { text: "person" }, async (tx) => {
        for (let i = 0; i < 8; i += 1) {
          await sql`select id from contacts_search limit ${25}`.execute(tx);
        }
        const { rows } = await sql`
          select generic_plans::integer as generic, custom_plans::integer as custom
          from pg_prepared_statements
          where statement like 'select id from contacts_search limit $1%'`.execute(tx);
        return rows;
      }),
    );
    expect(plans).toEqual([{ generic: 0, custom: 8 }]);
    expect(await planOf("user19999@", "contacts_search")).toContain("contacts_search_idx");
    expect((await find(a, "user19999@", "&types=contacts"))[0]?.detail).toBe(
      "user19999@example.com",
    );
  });

  test("a list finds the same as without the index", async () => {
    const texts = [
      "77",
      "USER1999",
      "company 7",
      "9@EX",
      "%",
      "_",
      "person ab",
      "m\nc",
      "COMpany 49",
    ];
    for (const text of texts) {
      const q = encodeURIComponent(text);
      const { body } = await a.call("GET", `/contacts?q=${q}&total=true&limit=200`);
      const rows = await app.withTenant(a.tenant, ({ db }) =>
        db.query<{ id: string }>(
          `select id from contacts
           where name ilike $1 or email ilike $1 or phone ilike $1 or company ilike $1
           order by id desc`,
          [containing(text)],
        ),
      );
      expect(body.total, text).toBe(rows.length);
      expect(body.items.map(({ id }: { id: string }) => id)).toEqual(
        rows.slice(0, 200).map(({ id }) => id),
      );
    }
  });
});

test("a document as large as may be, of as many words as fit, is stored and found", async () => {
  const member = await createMember(app);
  let content = "";
  for (let i = 0; content.length < 255_000; i += 1) content += `${i.toString(36)} `;
  const { status } = await member.call("POST", "/documents", { title: "Large", content });
  expect(status).toBe(201);
  expect(await titles(member, "zz1")).toEqual(["Large"]);
});
