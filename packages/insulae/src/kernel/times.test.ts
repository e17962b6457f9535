import { Type } from "typebox";
import { expect, test } from "vitest";
import { nullable, timestamp } from "./http/fields.ts";
import { pageOf } from "./http/page.ts";
import { respellerOf, textRespellerOf, timeText } from "./times.ts";

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
