import { Type } from "typebox";
import { expect, test } from "vitest";
import { nullable, timestamp } from "../feature/fields.ts";
import { pageOf } from "../feature/page.ts";
import { respellerOf, timeText } from "./times.ts";
import { textRespellerOf } from "./times-in-text.ts";

const Note = Type.Object({
  at: timestamp,
  seen_at: nullable(timestamp),
  text: Type.String(),
  data: Type.Unknown(),
});

test("a date has microseconds and a Z", () => {
  expect(timeText(new Date("2026-11-30T20:41:09.441Z"))).toBe("2026-11-30T20:41:09.441000Z");
});

test.each([
  [new Date("2026-11-30T20:41:09.441Z"), "2026-11-30T20:41:09.441000Z"],
  ["2026-11-30T20:41:09.441021+00:00", "2026-11-30T20:41:09.441021Z"],
  ["2026-11-30T20:41:09.44+00:00", "2026-11-30T20:41:09.440000Z"],
  ["2026-11-30T20:41:09+00:00", "2026-11-30T20:41:09.000000Z"],
  ["2026-11-30T20:41:09Z", "2026-11-30T20:41:09.000000Z"],
  ["2026-11-30T20:41:09.441021Z", "2026-11-30T20:41:09.441021Z"],
  [null, null],
])("%s is spelled %s in values and in text", (given, wanted) => {
  expect(respellerOf(timestamp)(given)).toBe(wanted);
  const text = JSON.stringify({ at: given });
  expect(textRespellerOf(Note)(text)).toBe(JSON.stringify({ at: wanted }));
});

test("times are respelled wherever the schema has them, in lists and pages", () => {
  const note = { at: new Date(0), seen_at: "2026-01-01T00:00:00Z", text: "a", data: 1 };
  const wanted = {
    at: "1970-01-01T00:00:00.000000Z",
    seen_at: "2026-01-01T00:00:00.000000Z",
    text: "a",
    data: 1,
  };
  const page = { items: [note], next_cursor: null };
  expect(respellerOf(pageOf(Note))(page)).toEqual({ items: [wanted], next_cursor: null });
  expect(textRespellerOf(pageOf(Note))(JSON.stringify(page))).toBe(
    JSON.stringify({ items: [wanted], next_cursor: null }),
  );
  expect(note.at).toEqual(new Date(0));
});

test("what only looks like a time, and other people's JSON, stay as they are", () => {
  const text = "2026-11-30T20:41:09+00:00";
  const note = { text, data: { at: text, deep: [{ at: text }] } };
  expect(respellerOf(Note)(note)).toEqual(note);
  // As PostgreSQL writes a row with a `jsonb` column, and a text that quotes one.
  const row = `{"at":"${text}","text":"\\"at\\":\\"${text}\\"","data":{"at": "${text}"}}`;
  expect(textRespellerOf(Note)(row)).toBe(
    `{"at":"2026-11-30T20:41:09.000000Z","text":"\\"at\\":\\"${text}\\"","data":{"at": "${text}"}}`,
  );
});

const at = "2026-11-30T20:41:09.44+00:00";
const spelled = "2026-11-30T20:41:09.440000Z";
const Timed = Type.Object({ at: timestamp, 'a"b': Type.Number() });
const Place = Type.Object({ name: Type.String() });

test.each([
  ["a time", timestamp, at, spelled],
  ["a list", Type.Array(timestamp), [at, at], [spelled, spelled]],
  ["a list's lists", Type.Array(Type.Array(timestamp)), [[at], []], [[spelled], []]],
  ["a record", Type.Record(Type.String(), timestamp), { a: at }, { a: spelled }],
  [
    "a record of objects",
    Type.Record(Type.String(), Timed),
    { at: { at, 'a"b': 1 }, 'a"b': { at, 'a"b': -1.5e9 } },
    { at: { at: spelled, 'a"b': 1 }, 'a"b': { at: spelled, 'a"b': -1.5e9 } },
  ],
  [
    "a tuple",
    Type.Tuple([timestamp, Type.String(), Timed]),
    [at, at, { at, 'a"b': 1 }],
    [spelled, at, { at: spelled, 'a"b': 1 }],
  ],
  ["a union", Type.Union([Type.Array(timestamp), Timed]), [at], [spelled]],
  ["an intersection", Type.Intersect([Timed, Place]), { at, name: at }, { at: spelled, name: at }],
  [
    "a member whose name another text has",
    Type.Object({ at: timestamp, of: Type.Object({ at: Type.String() }) }),
    { at, of: { at } },
    { at: spelled, of: { at } },
  ],
  [
    "a member beside others' JSON",
    Type.Object({
      data: Type.Unknown(),
      more: Type.Record(Type.String(), Type.String()),
      at: timestamp,
    }),
    { data: { at, deep: [{ at, text: '\\" {[' }, true, null] }, more: { at }, at },
    { data: { at, deep: [{ at, text: '\\" {[' }, true, null] }, more: { at }, at: spelled },
  ],
])("times are respelled in %s, and nothing else is", (_, schema, given, wanted) => {
  expect(respellerOf(schema)(given)).toEqual(wanted);
  for (const space of ["", " ", "\t"]) {
    const text = JSON.stringify(given, null, space);
    expect(textRespellerOf(schema)(text)).toBe(JSON.stringify(wanted, null, space));
  }
});

test("text that has both spellings, of PostgreSQL and of dates, has one afterwards", () => {
  const text = `{"at":"${at}","seen_at" : "2026-11-30T20:41:09.441Z","text":"","data":1}`;
  const wanted = `{"at":"${spelled}","seen_at" : "2026-11-30T20:41:09.441000Z","text":"","data":1}`;
  expect(textRespellerOf(Note)(text)).toBe(wanted);
  const { data: _, ...closed } = Note.properties;
  expect(textRespellerOf(Type.Object(closed))(text)).toBe(wanted);
});

test("text that is no JSON is left as it is, and names of methods are names", () => {
  for (const text of [
    "",
    "{",
    '{"at',
    '{"at":',
    `{"at":"${at}"`,
    `{"data":[{"at":"${at}"`,
    "[,]",
  ]) {
    expect(textRespellerOf(Note)(text)).toBe(text);
  }
  const odd = `{"constructor":{"at":"${at}"},"__proto__":{"at":"${at}"}}`;
  expect(textRespellerOf(Note)(odd)).toBe(odd);
  expect(JSON.stringify(respellerOf(Note)(JSON.parse(odd)))).toBe(odd);
});

test("JSON of others is passed over in one go, however deep", () => {
  const depth = 100_000;
  const text = `{"data":${"[".repeat(depth)}${"]".repeat(depth)},"at":"${at}"}`;
  expect(textRespellerOf(Note)(text)).toBe(text.replace(at, spelled));
});
