import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { isolations } from "../../kernel/model/tenant.ts";
import { addMember, createMember, type TestMember, unknownId } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";

let app: App;
let a: TestMember;

beforeAll(async () => {
  app = await createTestApp();
  a = await createMember(app);
});

afterAll(() => app?.close());

const namesOf = (page: { items: { name: string }[] }) => page.items.map(({ name }) => name);

const add = async (member: TestMember, contact: object): Promise<{ id: string }> => {
  const { status, body, text } = await member.call("POST", "/contacts", contact);
  expect(status, text).toBe(201);
  return body;
};

describe.each(isolations)("in a tenant with isolation %s", (isolation) => {
  test("a contact is added, shown, changed and deleted", async () => {
    const { call } = await createMember(app, isolation);
    const grace = { name: "Grace Hopper", email: "grace@example.com", phone: "+1234567890" };
    const added = await call("POST", "/contacts", grace);
    expect(added.status).toBe(201);
    expect(added.body).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{14}7/),
      ...grace,
      company: null,
      address: null,
      age: null,
      gender: null,
      notes: null,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
      updated_at: added.body.created_at,
    });
    const path = `/contacts/${added.body.id}`;
    expect((await call("GET", path)).body).toEqual(added.body);

    const changed = await call("PATCH", path, { company: "US Navy", phone: null });
    expect(changed.status).toBe(200);
    expect(changed.body).toEqual({
      ...added.body,
      company: "US Navy",
      phone: null,
      updated_at: expect.any(String),
    });
    expect(Date.parse(changed.body.updated_at)).toBeGreaterThan(Date.parse(added.body.updated_at));

    expect(await call("DELETE", path)).toEqual({ status: 204, body: undefined, text: "" });
    expect((await call("GET", path)).body).toMatchObject({
      status: 404,
      code: "contact_not_found",
    });
    expect((await call("DELETE", path)).status).toBe(404);
  });

  test("tenant B cannot read, change, delete, list, search or count A's contacts", async () => {
    const [mine, b] = await Promise.all([
      createMember(app, isolation),
      createMember(app, isolation),
    ]);
    const { id } = await add(mine, { name: "Only A knows", email: "only-a@example.com" });
    for (const [method, body] of [
      ["GET", undefined],
      ["PATCH", { name: "Taken over" }],
      ["DELETE", undefined],
    ] as const) {
      const foreign = await b.call(method, `/contacts/${id}`, body);
      expect(foreign.status).toBe(404);
      expect(foreign).toEqual(await b.call(method, `/contacts/${unknownId}`, body));
    }
    const nothing = { items: [], next_cursor: null, total: 0 };
    for (const query of ["", "&q=only", "&sort=name"]) {
      expect((await b.call("GET", `/contacts?total=true${query}`)).body).toEqual(nothing);
    }
    expect((await mine.call("GET", `/contacts/${id}`)).body.name).toBe("Only A knows");
  });
});

describe("a list of contacts", () => {
  let member: TestMember;
  const people = ["Ada", "bob", "BOB", "Čapek", "Bob", "Dora", "100% Cotton_Ltd", "1000 Cottons"];

  beforeAll(async () => {
    member = await createMember(app);
    for (const name of people)
      await add(member, { name, email: `${people.indexOf(name)}@x.example` });
  });

  const walk = async (query: string): Promise<string[]> => {
    const names: string[] = [];
    for (let cursor = ""; ; ) {
      const { body } = await member.call("GET", `/contacts?limit=2${query}${cursor}`);
      expect(body.items.length).toBeLessThanOrEqual(2);
      names.push(...namesOf(body));
      if (body.next_cursor === null) return names;
      cursor = `&cursor=${body.next_cursor}`;
    }
  };

  test("has the newest first, page by page, each once", async () => {
    expect(await walk("")).toEqual(people.toReversed());
  });

  test("is sorted by name without regard to case, page by page, each once", async () => {
    const names = await walk("&sort=name");
    expect(names.toSorted()).toEqual(people.toSorted());
    expect(names.filter((name) => /^[abd]/i.test(name))).toEqual([
      "Ada",
      "bob",
      "BOB",
      "Bob",
      "Dora",
    ]);
  });

  test("finds text in name and e-mail, in upper or lower case", async () => {
    expect(await walk("&q=DORA")).toEqual(["Dora"]);
    expect(await walk("&q=5@x")).toEqual(["Dora"]);
  });

  test("takes % and _ and \\ in a search for themselves", async () => {
    expect(await walk(`&q=${encodeURIComponent("0% C")}`)).toEqual(["100% Cotton_Ltd"]);
    expect(await walk("&q=n_L")).toEqual(["100% Cotton_Ltd"]);
    expect(await walk("&q=%25")).toEqual(["100% Cotton_Ltd"]);
    expect(await walk("&q=%5C")).toEqual([]);
  });

  test("says how many there are only when asked", async () => {
    const { body } = await member.call("GET", "/contacts?limit=1&q=cotton&total=true");
    expect(body).toMatchObject({ total: 2, next_cursor: expect.any(String) });
    expect((await member.call("GET", "/contacts")).body).not.toHaveProperty("total");
  });

  test("refuses a cursor of another tenant, another order, or one that was edited", async () => {
    const { next_cursor } = (await member.call("GET", "/contacts?limit=1")).body;
    for (const reply of [
      await a.call("GET", `/contacts?cursor=${next_cursor}`),
      await member.call("GET", `/contacts?sort=name&cursor=${next_cursor}`),
      await member.call("GET", `/contacts?cursor=x${next_cursor}`),
    ]) {
      expect(reply.body).toMatchObject({ status: 400, code: "invalid_cursor" });
    }
  });

  test.each(["limit=0", "limit=201", "limit=1e9", "sort=email", "page=2", "q="])(
    "refuses the query %s",
    async (query) => {
      expect((await member.call("GET", `/contacts?${query}`)).status).toBe(400);
    },
  );
});

describe("what is not valid is refused, and nothing is stored:", () => {
  test.each<[string, unknown]>([
    ["no name", {}],
    ["an empty name", { name: "" }],
    ["a name of spaces", { name: "   " }],
    ["a name that is too long", { name: "x".repeat(201) }],
    ["a name that is a number", { name: 7 }],
    ["an e-mail that is none", { name: "Eve", email: "not-an-e-mail" }],
    ["an e-mail with a header", { name: "Eve", email: "a@b.example\r\nBcc: c@d.example" }],
    ["a phone number that is too long", { name: "Eve", phone: "1".repeat(51) }],
    ["notes that are too long", { name: "Eve", notes: "n".repeat(10_001) }],
    ["an id", { name: "Eve", id: unknownId }],
    ["a tenant", { name: "Eve", tenant_id: unknownId }],
    ["a time", { name: "Eve", created_at: "2020-01-01T00:00:00Z" }],
    ["a character that cannot be stored", { name: "nul \0" }],
    ["a list", []],
    ["a text", "Eve"],
  ])("%s", async (_what, contact) => {
    const { call } = a;
    const before = (await call("GET", "/contacts?total=true")).body.total;
    const reply = await call("POST", "/contacts", contact);
    expect(reply.status, reply.text).toBe(400);
    expect((await call("GET", "/contacts?total=true")).body.total).toBe(before);
  });

  test("a change of nothing, a name of null, an id that is none", async () => {
    const { id } = await add(await createMember(app), { name: "Eve" });
    expect((await a.call("PATCH", `/contacts/${id}`, {})).status).toBe(400);
    expect((await a.call("PATCH", `/contacts/${id}`, { name: null })).status).toBe(400);
    expect((await a.call("GET", "/contacts/1")).status).toBe(400);
  });
});

test("a viewer sees contacts and cannot change them", async () => {
  const { id } = await add(a, { name: "Ada" });
  const { call } = await addMember(app, a.tenant, "viewer");
  const path = `/contacts/${id}`;
  expect((await call("GET", path)).status).toBe(200);
  expect((await call("GET", "/contacts")).status).toBe(200);
  for (const [method, url, body] of [
    ["POST", "/contacts", { name: "Eve" }],
    ["PATCH", path, { name: "Eve" }],
    ["DELETE", path, undefined],
  ] as const) {
    expect((await call(method, url, body)).status).toBe(403);
  }
});
