/** Times have one spelling wherever the server writes one (kernel/lib/times.ts). */
import { afterAll, beforeAll, expect, test } from "vitest";
import { standardFeatures } from "../src/features/index.ts";
import {
  type App,
  feature,
  Json,
  type Kysely,
  type Static,
  statement,
  type TSchema,
  Type,
  timestamp,
} from "../src/index.ts";
import { addMember, createMember, recordEvents, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";

interface Tables {
  contacts: { id: string; created_at: Date };
}

const times = statement((db: Kysely<Tables>) => db.selectFrom("contacts").select("created_at"));
const about = {
  permission: "contacts:read",
  summary: "Times",
  response: Type.Object({ created_at: timestamp }),
} as const;

const answering = <Schema extends TSchema>(response: Schema) => ({ ...about, response });
const Many = Type.Object({
  list: Type.Array(timestamp),
  record: Type.Record(Type.String(), Type.Object({ at: timestamp })),
  tuple: Type.Tuple([timestamp, Type.Integer()]),
});
const many = (at: string): Static<typeof Many> => ({
  list: [at, at],
  record: { at: { at } },
  tuple: [at, 1],
});

const clock = feature<Tables>("clock", {
  routes: (r) => [
    r.get("/clock/date", about, () => ({ created_at: new Date("2026-11-30T20:41:09.441Z") })),
    r.get("/clock/text", about, () => ({ created_at: new Date(0).toISOString() })),
    r.get("/clock/row", about, ({ db }) =>
      db.selectFrom("contacts").select("created_at").executeTakeFirstOrThrow(),
    ),
    r.get("/clock/json", about, ({ db }) => times.jsonOrThrow(db)),
    r.get("/clock/many", answering(Many), () => many(new Date(0).toISOString())),
    r.get(
      "/clock/many-json",
      answering(Many),
      () =>
        new Json<Static<typeof Many>>(JSON.stringify(many("2026-11-30T20:41:09.4+00:00"), null, 2)),
    ),
    r.get("/clock/query", { ...about, response: Type.Array(about.response) }, ({ db }) =>
      db.selectFrom("contacts").select("created_at"),
    ),
  ],
});

const spelling = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
/** All that looks like a time in a text, however it is written. */
const timesIn = (text: string) =>
  [...text.matchAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^",}\s]*/g)].map(([found]) => found);

let app: App;
let ada: TestMember;
let recorded: Awaited<ReturnType<typeof recordEvents>>;

beforeAll(async () => {
  app = await createTestApp({ features: [...standardFeatures, clock] });
  ada = await addMember(app, (await createMember(app)).tenant, "admin");
  recorded = await recordEvents(app, ada.tenant);
  await ada.call("POST", "/contacts", { name: "Ada" });
});
afterAll(() => app?.close());

const read = async (url: string): Promise<string> => {
  const headers = { authorization: `Bearer ${ada.token}` };
  const { statusCode, body } = await app.inject({ url, headers });
  expect([url, statusCode]).toEqual([url, 200]);
  return body;
};

test.each(["date", "text", "row", "json", "query"])(
  "a handler's %s is spelled alike",
  async (way) => {
    const found = timesIn(await read(`/api/v1/clock/${way}`));
    expect(found).toEqual([expect.stringMatching(spelling)]);
  },
);

test.each(["many", "many-json"])("%s times are spelled alike", async (way) => {
  const found = timesIn(await read(`/api/v1/clock/${way}`));
  expect(found).toEqual(Array(4).fill(expect.stringMatching(spelling)));
});

test("a date has no more than milliseconds, and six digits nevertheless", async () => {
  expect(await read("/api/v1/clock/date")).toBe('{"created_at":"2026-11-30T20:41:09.441000Z"}');
});

test.each([
  "/api/v1/contacts",
  "/api/v1/contacts/export?format=jsonl",
  "/api/v1/contacts/export?format=csv",
  "/api/v1/users",
  "/api/v1/users/export?format=jsonl",
  "/api/v1/audit",
  "/api/v1/audit/export",
  "/api/v1/auth/sessions",
  "/health",
])("%s spells its times alike", async (url) => {
  const found = timesIn(await read(url));
  expect(found.length).toBeGreaterThan(0);
  expect(found.filter((each) => !spelling.test(each))).toEqual([]);
});

test("events spell theirs alike", async () => {
  const [event] = await recorded();
  const { timestamp, data } = event;
  for (const each of [timestamp, data.created_at, data.updated_at]) expect(each).toMatch(spelling);
});

test("what was read may be sent back, in this spelling and in others", async () => {
  const [{ at }] = JSON.parse(await read("/api/v1/audit")).items;
  for (const from of [at, at.replace("Z", "+00:00"), new Date(at).toISOString()]) {
    const url = `/api/v1/audit?from=${encodeURIComponent(from)}`;
    expect(JSON.parse(await read(url)).items.length, from).toBeGreaterThan(0);
  }
});
