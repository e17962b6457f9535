import type { Generated, Kysely } from "kysely";
import { type Static, Type } from "typebox";
import { describe, expectTypeOf, it } from "vitest";
import { type Params, statement } from "../data/statement.ts";
import { Json } from "../lib/json.ts";
import { feature, type RouteBuilder, type RouteOptions } from "./feature.ts";
import { mediaText, nullable, timestamp } from "./fields.ts";
import { pageOf, pageQuery } from "./page.ts";
import type { Handler, TenantContext } from "./route.ts";

interface NoteTables {
  notes: { id: Generated<string>; text: string; title: string | null; at: Date };
}
type Db = Kysely<NoteTables>;

const Note = Type.Object({ id: Type.String(), text: Type.String(), at: timestamp });
const notes = (routes: (r: RouteBuilder<NoteTables>) => ReturnType<typeof noRoutes>) =>
  feature<NoteTables>("notes", { routes });
const noRoutes = (r: RouteBuilder<NoteTables>) => [r.get("/", about, () => note)];

const about = { permission: "authenticated", summary: "Notes", response: Note } as const;
const note = { id: "1", text: "Milk", at: new Date(0) };

const columns = ["id", "text", "at"] as const;
const findNote = statement((db: Db, p: Params<{ id: string }>) =>
  db.selectFrom("notes").select(columns).where("id", "=", p.id),
);
const listNotes = statement((db: Db, p: Params<{ limit: number }>) =>
  db.selectFrom("notes").select(columns).limit(p.limit),
);

// Compile-time tests: `tsc` fails if an expected error does not occur.
describe("the response of a handler", () => {
  it("is a value of its route's schema, a row, or a statement's JSON, now or later", () => {
    notes((r) => [
      r.get("/a", about, () => note),
      r.get("/b", about, async () => note),
      r.get("/c", about, () => ({ ...note, at: "2026-11-30T20:41:09Z" })),
      r.get("/d", about, ({ db }) =>
        db.selectFrom("notes").select(columns).executeTakeFirstOrThrow(),
      ),
      r.get("/e", about, async ({ db }) => {
        const found = await findNote.json(db, { id: "1" });
        if (!found) throw new Error("none");
        return found;
      }),
      r.get("/f", about, () => new Json<Static<typeof Note>>("{}")),
    ]);
  });

  it("of a list is a page, rows, or a query that has not been run", () => {
    const list = { ...about, response: Type.Array(Note) };
    const paged = { ...about, query: pageQuery(), response: pageOf(Note) };
    notes((r) => [
      r.get("/a", list, ({ db }) => db.selectFrom("notes").select(columns)),
      r.get("/b", list, ({ db }) => findNote.jsonList(db, { id: "1" })),
      r.get("/c", paged, ({ db, page }) =>
        listNotes.page(db, {}, { ...page, key: ({ id }) => [id] }),
      ),
      r.get("/d", paged, () => ({ items: [note], next_cursor: null })),
    ]);
  });

  it("lacks nothing that the schema requires, and has no wrong types", () => {
    notes((r) => [
      // @ts-expect-error the answer lacks `text` and `at`
      r.get("/a", about, () => ({ id: "1" })),
      // @ts-expect-error `id` is text
      r.get("/b", about, () => ({ ...note, id: 1 })),
      // @ts-expect-error nor is it right when it comes later
      r.get("/c", about, async () => ({ ...note, id: 1 })),
      // @ts-expect-error a time is no number
      r.get("/d", about, () => ({ ...note, at: 0 })),
      // @ts-expect-error a time is not any text's place
      r.get("/e", about, () => ({ ...note, text: new Date() })),
      // @ts-expect-error there may be no such note
      r.get("/f", about, ({ db }) => findNote.json(db, { id: "1" })),
      // @ts-expect-error an answer of status 200 has a body
      r.get("/g", about, () => undefined),
    ]);
  });

  it("has no nullable column unless the schema allows it", () => {
    const title = statement((db: Db) => db.selectFrom("notes").select("title"));
    const Title = Type.Object({ title: Type.String() });
    const NullableTitle = Type.Object({ title: nullable(Type.String()) });
    notes((r) => [
      r.get("/a", { ...about, response: Type.Array(NullableTitle) }, ({ db }) =>
        title.jsonList(db),
      ),
      // @ts-expect-error the title may be null
      r.get("/b", { ...about, response: Type.Array(Title) }, ({ db }) => title.jsonList(db)),
      r.get("/c", { ...about, response: Type.Array(Title) }, ({ db }) =>
        // @ts-expect-error the same in a query
        db.selectFrom("notes").select("title"),
      ),
    ]);
  });

  it("as a statement's JSON has exactly the schema's columns", () => {
    const ids = statement((db: Db) => db.selectFrom("notes").select("id"));
    const all = statement((db: Db) => db.selectFrom("notes").selectAll());
    const list = { ...about, response: Type.Array(Note) };
    const paged = { ...about, query: pageQuery(), response: pageOf(Note) };
    const page = { limit: 1, cursor: { encode: () => "" }, key: () => [] };
    notes((r) => [
      // @ts-expect-error it lacks `text` and `at`
      r.get("/a", list, ({ db }) => ids.jsonList(db)),
      // @ts-expect-error it has `title`, which the response does not name
      r.get("/b", list, ({ db }) => all.jsonList(db)),
      // @ts-expect-error nor does a page's
      r.get("/c", paged, ({ db }) => all.page(db, {}, page)),
      // @ts-expect-error nobody has said what the text describes
      r.get("/d", about, (): Json => new Json("{}")),
    ]);
  });

  it("has a declared status and its body", () => {
    const made = { ...about, response: { 201: Note } };
    const gone = { ...about, response: { 204: null } };
    const either = { ...about, response: { 200: Note, 202: Type.Object({ job: Type.String() }) } };
    notes((r) => [
      r.post("/a", made, () => note),
      r.post("/b", gone, () => {}),
      r.post("/c", gone, async () => {}),
      r.post("/d", either, ({ status }) => {
        status(202);
        return { job: "1" };
      }),
      r.post("/e", either, () => note),
      // @ts-expect-error the body of status 201 is a note
      r.post("/f", made, () => ({ job: "1" })),
      // @ts-expect-error status 204 has no body
      r.post("/g", gone, () => note),
      r.post("/h", made, ({ status }) => {
        // @ts-expect-error the route declares no status 200
        status(200);
        return note;
      }),
      // @ts-expect-error neither of the two bodies
      r.post("/i", either, () => ({ id: "1" })),
    ]);
  });

  it("may be one of several, whether it comes now or later", () => {
    const either = {
      ...about,
      response: Type.Object({ a: Type.Union([Type.Integer(), Type.Null()]) }),
    };
    const maybe = { ...about, response: Type.Object({ a: Type.Optional(Type.Integer()) }) };
    const kind = Type.Union([Type.Literal("b"), Type.Literal("c")]);
    const literal = { ...about, response: Type.Object({ kind }) };
    const list = { ...about, response: Type.Array(kind) };
    const statuses = {
      ...about,
      response: { 200: Note, 202: Type.Object({ job: Type.String() }) },
    };
    const gone = { ...about, response: { 200: Note, 204: null } };
    const load = (): Promise<{ a: number } | { a: null }> => Promise.resolve({ a: 1 });
    const loadNow = (): { a: number } | { a: null } => ({ a: 1 });
    notes((r) => [
      r.get("/a", either, ({ user }) => (user ? { a: 1 } : { a: null })),
      r.get("/b", either, async ({ user }) => (user ? { a: 1 } : { a: null })),
      r.get("/c", either, () => load()),
      r.get("/d", either, () => loadNow()),
      r.get("/e", either, ({ user }) => (user ? load() : { a: null })),
      r.get("/f", either, ({ user }) => (user ? load() : Promise.resolve({ a: 1 }))),
      r.get("/g", either, ({ user }) => {
        if (user) return { a: 1 };
        return { a: null };
      }),
      r.get("/h", maybe, ({ user }) => (user ? { a: 1 } : {})),
      r.get("/i", maybe, async ({ user }) => (user ? { a: 1 } : {})),
      r.get("/j", statuses, ({ user }) => (user ? note : { job: "1" })),
      r.get("/k", statuses, ({ user }) => (user ? Promise.resolve(note) : { job: "1" })),
      r.get("/l", literal, ({ user }) => ({ kind: user ? "b" : "c" })),
      r.get("/m", literal, async ({ user }) => ({ kind: user ? "b" : "c" })),
      r.get("/n", literal, async ({ user }) => (user ? { kind: "b" } : { kind: "c" })),
      r.get("/o", list, ({ user }) => (user ? ["b"] : ["c", "b"])),
      r.get("/p", list, async ({ user }) => (user ? ["b"] : ["c", "b"])),
      r.get("/q", gone, ({ user }) => (user ? note : undefined)),
      // @ts-expect-error one of the two is no answer
      r.get("/r", either, ({ user }) => (user ? { a: 1 } : { a: "1" })),
      // @ts-expect-error nor is it when it comes later
      r.get("/s", either, async ({ user }) => (user ? { a: 1 } : { a: "1" })),
      // @ts-expect-error nor where only one of the two comes later
      r.get("/t", either, ({ user }) => (user ? load() : { a: "1" })),
      // @ts-expect-error neither kind is the response's
      r.get("/u", literal, ({ user }) => (user ? { kind: "b" } : { kind: "d" })),
    ]);
  });

  it("is text, bytes or pieces of them for other media types", () => {
    const csv = { ...about, response: mediaText("text/csv") };
    async function* lines() {
      yield "a,b\n";
    }
    notes((r) => [
      r.get("/a", csv, () => "a,b\n"),
      r.get("/b", csv, () => Buffer.from("a,b\n")),
      r.get("/c", csv, () => lines()),
      // @ts-expect-error it is not JSON
      r.get("/d", csv, () => note),
    ]);
  });
});

describe("a handler in a file of its own", () => {
  const changeNote = {
    permission: "notes:write",
    summary: "Changes a note",
    params: Type.Object({ id: Type.String() }),
    query: Type.Object({ quiet: Type.Optional(Type.Boolean()) }),
    body: Type.Object({ text: Type.String() }),
    response: Note,
  } as const satisfies RouteOptions;

  it("has its params, query, body and response typed by the route's options", () => {
    const onChangeNote: Handler<typeof changeNote, NoteTables> = async (context) => {
      expectTypeOf(context.params).toEqualTypeOf<{ id: string }>();
      expectTypeOf(context.query.quiet).toEqualTypeOf<boolean | undefined>();
      expectTypeOf(context.body).toEqualTypeOf<{ text: string }>();
      return texts(context);
    };
    // @ts-expect-error it lacks `text` and `at`
    const wrong: Handler<typeof changeNote, NoteTables> = () => ({ id: "1" });
    notes((r) => [r.put("/notes/:id", changeNote, onChangeNote)]);
    return wrong;
  });

  const texts = ({ db }: TenantContext<NoteTables>) =>
    db.selectFrom("notes").select(columns).executeTakeFirstOrThrow();
});
