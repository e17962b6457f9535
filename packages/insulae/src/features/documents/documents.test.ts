import { afterAll, beforeAll, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { addMember, createMember, type TestMember, unknownId } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";

let app: App;
let a: TestMember;

beforeAll(async () => {
  app = await createTestApp();
  a = await createMember(app);
});

afterAll(() => app?.close());

test("a document is added, shown, changed and deleted, and knows who wrote it", async () => {
  const added = await a.call("POST", "/documents", { title: "Plan", content: "First, …" });
  expect(added.status).toBe(201);
  expect(added.body).toEqual({
    id: expect.any(String),
    title: "Plan",
    content: "First, …",
    created_by: a.userId,
    created_at: expect.any(String),
    updated_at: expect.any(String),
  });
  const path = `/documents/${added.body.id}`;
  expect((await a.call("GET", path)).body).toEqual(added.body);
  const colleague = await addMember(app, a.tenant);
  const changed = await colleague.call("PATCH", path, { content: "Then, …" });
  expect(changed.body).toMatchObject({ title: "Plan", content: "Then, …", created_by: a.userId });
  expect((await a.call("DELETE", path)).status).toBe(204);
  expect((await a.call("GET", path)).body).toMatchObject({
    status: 404,
    code: "document_not_found",
  });
});

test("a document stays when its writer goes", async () => {
  const writer = await createMember(app, "database");
  const { id } = (await writer.call("POST", "/documents", { title: "Left behind" })).body;
  const reader = await addMember(app, writer.tenant);
  await app.withTenant(writer.tenant, ({ db }) =>
    db.query("delete from users where id = $1", [writer.userId]),
  );
  const { body } = await reader.call("GET", `/documents/${id}`);
  expect(body).toMatchObject({ title: "Left behind", content: "", created_by: null });
});

test("lists have no content, and are searched and filtered", async () => {
  const writer = await createMember(app);
  const other = await addMember(app, writer.tenant);
  await writer.call("POST", "/documents", { title: "Needles", content: "hay" });
  await other.call("POST", "/documents", { title: "Hay", content: "one NEEDLE\nin here" });
  const list = async (query: string) => (await writer.call("GET", `/documents?${query}`)).body;
  const titles = ({ items }: { items: { title: string }[] }) => items.map(({ title }) => title);
  const everything = await list("total=true");
  expect(titles(everything)).toEqual(["Hay", "Needles"]);
  expect(everything.total).toBe(2);
  expect(everything.items[0]).not.toHaveProperty("content");
  expect(titles(await list("q=needle"))).toEqual(["Hay", "Needles"]);
  expect(titles(await list(`created_by=${other.userId}`))).toEqual(["Hay"]);
});

test.each([
  {},
  { title: " " },
  { title: "t".repeat(301) },
  { title: "t", content: null },
  { title: "t", created_by: unknownId },
  { title: "t", tenant_id: unknownId },
])("%j is refused", async (document) => {
  expect((await a.call("POST", "/documents", document)).status).toBe(400);
});

test("a body of 256 KiB is taken, and a larger one is not", async () => {
  const document = (bytes: number) => {
    const empty = JSON.stringify({ title: "Long", content: "" });
    return { title: "Long", content: "x".repeat(bytes - empty.length) };
  };
  const taken = await a.call("POST", "/documents", document(256 * 1024));
  expect(taken.status).toBe(201);
  expect((await a.call("POST", "/documents", document(256 * 1024 + 1))).status).toBe(413);
});

test("tenant B cannot read, change, delete, list, search, count or filter A's documents", async () => {
  const b = await createMember(app);
  const { id } = (await a.call("POST", "/documents", { title: "Only A knows" })).body;
  for (const [method, body] of [
    ["GET", undefined],
    ["PATCH", { title: "Taken over" }],
    ["DELETE", undefined],
  ] as const) {
    const foreign = await b.call(method, `/documents/${id}`, body);
    expect(foreign.status).toBe(404);
    expect(foreign).toEqual(await b.call(method, `/documents/${unknownId}`, body));
  }
  for (const query of ["", "&q=only", `&created_by=${a.userId}`]) {
    const { body } = await b.call("GET", `/documents?total=true${query}`);
    expect(body).toEqual({ items: [], next_cursor: null, total: 0 });
  }
  expect((await a.call("GET", `/documents/${id}`)).body.title).toBe("Only A knows");
});
