import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../testing/index.ts";
import { shortestRun } from "../../testing/processor-time.ts";
import { stringFormats } from "./formats.ts";

const takes = (format: string, text: string): boolean | undefined =>
  stringFormats[format]?.check(text);

const length = 50_000;
const hostile = [
  "a".repeat(length),
  "1".repeat(length),
  ":".repeat(length),
  "-".repeat(length),
  " ".repeat(length),
  `${"a.".repeat(length / 2)}!`,
  `a@${"a.".repeat(length / 2)}!`,
  `${"a@".repeat(length / 2)}`,
  `http://${"a:".repeat(length / 2)}@`,
  `http://${"%41".repeat(length / 3)}|`,
  `http://${"[::".repeat(length / 3)}`,
  `2024-01-01T00:00:00.${"0".repeat(length)}x`,
  `${"0:".repeat(length / 2)}x`,
];

describe("the format", () => {
  it.each(Object.keys(stringFormats))("%s answers 50,000 hostile characters in 50 ms", (name) => {
    for (const text of hostile) {
      const check = () => expect(takes(name, text)).toBe(false);
      expect(shortestRun(check)).toBeLessThan(50);
    }
  });

  it.each([
    ["uuid", ["0190c9c0-0000-7000-8000-00000000000f"]],
    ["email", ["ada@example.com", "a+b@sub.example.co.uk", "jörg@exämple.de", "用户@例子.广告"]],
    [
      "date-time",
      [
        "2024-02-29T12:00:00Z",
        "2024-02-29T12:00:00.123456789Z",
        "2024-02-29t12:00:00z",
        "2024-02-29T12:00:00-00:00",
        "2024-02-29T12:00:00+15:59",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59.999Z",
      ],
    ],
    ["date", ["2024-02-29", "0001-01-01", "9999-12-31"]],
    ["time", ["12:00:00Z", "23:59:59.5+01:00"]],
    ["uri", ["https://example.com/a?b#c", "urn:isbn:1", "https://[::1]:8000/%C3%A4"]],
    ["ipv4", ["127.0.0.1"]],
    ["ipv6", ["::1", "::ffff:127.0.0.1"]],
    ["hostname", ["a.example.com", "localhost"]],
  ])("%s takes %j", (name, texts) => {
    for (const text of texts) expect([text, takes(name, text)]).toEqual([text, true]);
  });

  it.each([
    ["uuid", ["urn:uuid:0190c9c0-0000-7000-8000-000000000001"]],
    ["email", ['"x@evil y"@corp', "ada@example.com\r\nBcc: x@example.com", " ada@example.com"]],
    [
      "date-time",
      [
        "2023-02-29T12:00:00Z",
        "2026-01-01T00:00:00+16:00",
        "2099-12-31T23:59:59+01",
        "2099-12-31T23:59:59+0100",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-06-30T23:59:60Z",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00.Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:59.9999995Z",
        "+10000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "２026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
        "infinity",
        "now",
      ],
    ],
    ["date", ["2024-13-01", "2024-02-30", "0000-01-01", "2024-1-1", "today"]],
    ["time", ["24:00:00Z", "12:00:60Z", "12:00:00", "12:00:00+24:00"]],
    [
      "uri",
      ["not a uri", "http://a b", "http://a/<>", "http://a/%4", "//example.com", "http://ä.de"],
    ],
    ["ipv4", ["127.0.0.256", "127.1", "0x7f.0.0.1"]],
    ["ipv6", ["::g", "fe80::1%eth0"]],
    ["hostname", ["-a.example.com", "a..b", "127.0.0.1"]],
  ])("%s refuses %j", (name, texts) => {
    for (const text of texts) expect([text, takes(name, text)]).toEqual([text, false]);
  });
});

describe("what a format of times takes", () => {
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    database = await createTestDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  const two = (least: number, most: number) =>
    fc.integer({ min: least, max: most }).map((value) => String(value).padStart(2, "0"));
  const year = fc.oneof(
    fc.constantFrom("0000", "0001", "9999", "1582", "2026"),
    fc.integer({ min: 0, max: 9999 }).map((value) => String(value).padStart(4, "0")),
  );
  const offset = fc.oneof(
    fc.constantFrom("Z", "z", "", "+01", "+0100"),
    fc.tuple(fc.constantFrom("+", "-"), two(0, 24), two(0, 60)).map(([s, h, m]) => `${s}${h}:${m}`),
  );
  const fraction = fc.oneof(
    fc.constant(""),
    fc.stringMatching(/^\.[0-9]{1,10}$/),
    fc.constantFrom(".999999", ".9999999"),
  );
  const dateTime = fc
    .tuple(year, two(0, 13), two(0, 32), fc.constantFrom("T", "t", " "), two(0, 25), two(0, 60))
    .chain(([y, m, d, separator, hour, minute]) =>
      fc
        .tuple(two(0, 61), fraction, offset)
        .map(([second, f, o]) => `${y}-${m}-${d}${separator}${hour}:${minute}:${second}${f}${o}`),
    );

  it("PostgreSQL and JavaScript take too, for the same instant of a year with four digits", async () => {
    const texts = fc
      .sample(dateTime, 20_000)
      .filter((text) => takes("date-time", text))
      .concat("9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "2026-01-01t00:00:00z");
    expect(texts.length).toBeGreaterThan(20);
    for (const text of texts) {
      const { rows } = await client.query(
        "select extract(epoch from $1::timestamptz)::float8 as seconds, to_char($1::timestamptz at time zone 'UTC', 'YYYY BC') as year",
        [text],
      );
      expect([text, rows[0].year]).toEqual([text, expect.stringMatching(/^\d{4} AD$/)]);
      expect(Math.abs(rows[0].seconds - Date.parse(text) / 1_000)).toBeLessThan(0.002);
    }
  });
});
