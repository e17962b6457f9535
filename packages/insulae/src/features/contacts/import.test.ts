import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isolations } from "../../kernel/model/tenant.ts";
import { addMember, createMember, recordEvents, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import type { TestApp as App } from "../../testing/test-app.ts";
import { importContacts, maxImportBytes } from "./import.ts";

let app: App;

beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app?.close());

const send = async ({ token }: TestMember, csv: string, query = "", type = "text/csv") => {
  const reply = await app.inject({
    method: "POST",
    url: `/api/v1/contacts/import${query}`,
    headers: { authorization: `Bearer ${token}`, "content-type": type },
    payload: csv,
  });
  return { status: reply.statusCode, body: reply.json() };
};

const contactsOf = async ({ call }: TestMember) =>
  (await call("GET", "/contacts?limit=200&total=true")).body;

const good = `Name,email,phone,company
Ada,ada@example.com,+44 1,"Analytical, Ltd"
Grace,,,
"Joan ""the"" Clarke",joan@example.com,,Hut 8
`;
const mixed = `name,email
Ada,ada@example.com
,nobody@example.com
Eve,not-an-e-mail
Bob,bob@example.com,too many
"Nul\0",
Grace,grace@example.com
`;

describe.each(isolations)("in a tenant with isolation %s", (isolation) => {
  test("all good rows are imported, for this tenant alone", async () => {
    const [a, b] = await Promise.all([createMember(app, isolation), createMember(app, isolation)]);
    const { status, body } = await send(a, good);
    expect(status).toBe(200);
    expect(body).toEqual({ rows: 3, imported: 3, refused_rows: 0, refused: [] });
    const { items } = await contactsOf(a);
    expect(items.map(({ name }: { name: string }) => name).toSorted()).toEqual([
      "Ada",
      "Grace",
      'Joan "the" Clarke',
    ]);
    expect(items.find(({ name }: { name: string }) => name === "Ada")).toMatchObject({
      email: "ada@example.com",
      phone: "+44 1",
      company: "Analytical, Ltd",
      notes: null,
    });
    expect((await contactsOf(b)).total).toBe(0);
  });
});

describe("rows that are not acceptable", () => {
  const refused = [
    { line: 3, field: "name", reason: expect.any(String) },
    { line: 4, field: "email", reason: expect.any(String) },
    { line: 5, field: null, reason: "has 3 cells, but the first line has 2" },
    { line: 6, field: "name", reason: "has a character that can't be stored" },
  ];

  test("are named, and nothing is imported", async () => {
    const member = await createMember(app);
    const { status, body } = await send(member, mixed);
    expect(status).toBe(422);
    expect(body).toMatchObject({ code: "import_refused", rows: 6, refused_rows: 4, refused });
    expect((await contactsOf(member)).total).toBe(0);
  });

  test("are left out where the client asks for that", async () => {
    const member = await createMember(app);
    const { status, body } = await send(member, mixed, "?partial=true");
    expect(status).toBe(200);
    expect(body).toEqual({ rows: 6, imported: 2, refused_rows: 4, refused });
    expect((await contactsOf(member)).total).toBe(2);
  });

  test("are found by a dry run, which stores nothing and is on record as one", async () => {
    const { tenant } = await createMember(app);
    const admin = await addMember(app, tenant, "admin");
    expect((await send(admin, mixed, "?dry_run=true")).body).toEqual({
      rows: 6,
      imported: 0,
      refused_rows: 4,
      refused,
    });
    expect((await send(admin, good, "?dry_run=true")).body.imported).toBe(0);
    expect((await contactsOf(admin)).total).toBe(0);
    await send(admin, good);
    const { items } = (await admin.call("GET", "/audit?action=contacts.imported")).body;
    expect(items.map(({ detail }: { detail: object }) => detail)).toEqual([
      { imported: 3 },
      { imported: 0, dry_run: true },
      { imported: 0, dry_run: true },
    ]);
  });

  test("are counted, when there are many, and the first thousand named", async () => {
    const member = await createMember(app);
    const { body } = await send(member, `name,email\n${"x,y\n".repeat(5_000)}`, "?dry_run=true");
    expect(body).toMatchObject({ rows: 5_000, refused_rows: 5_000 });
    expect(body.refused).toHaveLength(1_000);
  });
});

test("sixteen imports at once of one tenant are one import, and fifteen refusals", async () => {
  const member = await createMember(app);
  const csv = `name\n${"x\n".repeat(3_000)}`;
  const replies = await Promise.all(Array.from({ length: 16 }, () => send(member, csv)));
  expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
  const refused = replies.filter(({ status }) => status !== 200);
  for (const { status, body } of refused) {
    expect([status, body.code]).toEqual([429, "too_many_at_once"]);
    expect(body.detail).toBe("The limit on imports is 1 at a time for a tenant.");
  }
  expect((await contactsOf(member)).total).toBe(3_000);
  expect((await send(member, good)).status).toBe(200);
});

test("reading lets other requests have their turns", async () => {
  async function* bytes() {
    yield Buffer.from(`name,email,company\n${"Ada,ada@example.com,Hut\n".repeat(40_000)}`);
  }
  let turns = 0;
  let reading = true;
  const turn = () => {
    turns += 1;
    if (reading) setImmediate(turn);
  };
  setImmediate(turn);
  const unused = {} as never;
  const report = await importContacts({
    ...{ db: unused, events: unused, bytes: bytes(), dryRun: true, partial: false },
    ...{ check: () => undefined, audit: async () => undefined },
  });
  reading = false;
  expect(report.rows).toBe(40_000);
  expect(turns).toBeGreaterThan(10);
});

test("what the database refuses in the last batch leaves nothing of the first", async () => {
  const member = await createMember(app, "schema");
  const { schema } = member.tenant.placement;
  // A trigger stands for whatever goes wrong in the middle.
  const owner = new pg.Client({ connectionString: app.config.databaseUrl });
  await owner.connect();
  try {
    await owner.query(`
      create function ${schema}.refuse() returns trigger language plpgsql as
        $$ begin raise exception 'no' using errcode = '23514'; end $$;
      create trigger refuse before insert on ${schema}.contacts
        for each row when (new.name = 'last') execute function ${schema}.refuse()`);
    const { status } = await send(member, `name\n${"x\n".repeat(1_500)}last\n`);
    expect(status).toBeGreaterThanOrEqual(400);
    expect((await contactsOf(member)).total).toBe(0);
  } finally {
    await owner.query(`drop function ${schema}.refuse() cascade`);
    await owner.end();
  }
});

test("webhooks hear of each contact, as of one that was added by itself", async () => {
  const member = await createMember(app);
  const recorded = await recordEvents(app, member.tenant, ["contact.created"]);
  await send(member, mixed);
  expect(await recorded()).toEqual([]);
  // Two batches.
  await send(member, `name,email\n${"x,x@example.com\n".repeat(1_001)}`);
  const events = await recorded();
  expect(events).toHaveLength(1_001);
  const { items } = await contactsOf(member);
  const newest = events.find(({ data }) => data.id === items[0].id);
  expect(newest).toEqual({
    type: "contact.created",
    timestamp: expect.any(String),
    data: items[0],
  });
});

test("an export comes back as it was", async () => {
  const [from, to] = [await createMember(app), await createMember(app)];
  const names = ["=1+1", "'=1", "+49 1", "a,b", 'say "hi"', "naïve 🙂"];
  for (const name of names) {
    await from.call("POST", "/contacts", { name, notes: `zeile\neins ${name}\r\n` });
  }
  const file = await app.inject({
    url: "/api/v1/contacts/export",
    headers: { authorization: `Bearer ${from.token}` },
  });
  expect((await send(to, file.body)).body).toMatchObject({ imported: names.length });
  const plain = ({ items }: { items: Record<string, unknown>[] }) =>
    items.map(({ name, notes }) => [name, notes]).toSorted();
  expect(plain(await contactsOf(to))).toEqual(plain(await contactsOf(from)));
});

describe("is refused, and stores nothing:", () => {
  let member: TestMember;
  beforeAll(async () => {
    member = await createMember(app);
  });

  test.each<[string, number, string, string, string?]>([
    ["an empty file", 400, "malformed_csv", ""],
    ["a column that is not known", 400, "malformed_csv", "name,tenant_id\nEve,1\n"],
    ["a column that is there twice", 400, "malformed_csv", "name,Name\nEve,Eve\n"],
    ["no column for the name", 400, "malformed_csv", "email\neve@example.com\n"],
    ["a quote that is never closed", 400, "malformed_csv", 'name\nEve\n"Bob\n'],
    ["too many rows", 400, "malformed_csv", `name\n${"x\n".repeat(100_001)}`],
    ["too many bytes", 413, "body_too_large", `name\n${"x".repeat(maxImportBytes)}`],
    ["another type", 415, "unsupported_media_type", "name\nEve\n", "application/json"],
  ])("%s", async (_what, status, code, csv, type) => {
    const reply = await send(member, csv, "?partial=true", type);
    expect(reply).toMatchObject({ status, body: { code } });
    expect((await contactsOf(member)).total).toBe(0);
  });

  test("a viewer's", async () => {
    const viewer = await addMember(app, member.tenant, "viewer");
    expect((await send(viewer, good)).status).toBe(403);
  });
});

test("an age is written as in JSON, without zeros or blanks before it", async () => {
  const { body } = await send(await createMember(app), "name,age\nA,042\nB, 42\nC,1.0\n");
  expect(body).toMatchObject({ refused_rows: 3 });
});
