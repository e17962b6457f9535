import { describe, expect, test } from "vitest";
import { parseEnvironmentFile } from "./environment-file.ts";

const parse = (text: string) => parseEnvironmentFile(Buffer.from(text));
const valuesOf = (text: string) => parse(text).values;

describe(".env", () => {
  test.each([
    ["a value", "PORT=8080\n", { PORT: "8080" }],
    ["blanks, and a comment after one", "  PORT = 8080  # ours\n#PORT=1\n\n", { PORT: "8080" }],
    ["a line that shells export", "export PORT=8080", { PORT: "8080" }],
    ["line ends of Windows", "PORT=8080\r\nHOST=x\r\n", { PORT: "8080", HOST: "x" }],
    ["a byte order mark", "\uFEFFPORT=8080", { PORT: "8080" }],
    ["a # in quotes", `A="Correct#Horse" # yes\nB='#'`, { A: "Correct#Horse", B: "#" }],
    ["several lines in quotes", `A="one\ntwo \nthree"\nB=2`, { A: "one\ntwo \nthree", B: "2" }],
    [
      "\\n in double quotes alone",
      `A="a\\nb"\nB='a\\nb'`,
      {
        A: "a\nb",
        B: String.raw`a\nb`,
      },
    ],
    [
      "a backslash in double quotes",
      `${String.raw`A="C:\\new"`}\n${String.raw`B='C:\\new'`}\n${String.raw`C="\d\\\n"`}`,
      { A: String.raw`C:\new`, B: String.raw`C:\\new`, C: "\\d\\\n" },
    ],
    ["names that objects have", "constructor=1\ntoString=2", { constructor: "1", toString: "2" }],
    ["a comment for a value", "A= # none", { A: "" }],
    [
      "an empty value, which takes nothing of the next line",
      "A= \nB=\nC=3",
      { A: "", B: "", C: "3" },
    ],
  ])("%s", (_, text, values) => {
    expect(valuesOf(text)).toEqual(values);
  });

  test.each([
    [
      "a # that may be a comment",
      "A=1\nADMIN_PASSWORD=Correct#Horse",
      /line 2: ADMIN_PASSWORD .*quotes/,
    ],
    ["a # right after the =", "A=#abc", /line 1: A begins with a #.*quotes/],
    ["a quote that is never closed", `A="b\nC=3`, /line 1: A .*no closing/],
    ["text after the quotes", `A="b"c`, /line 1: A continues after/],
    ["a line that is no setting", "PORT 8080", /line 1: expected NAME=value/],
    ["a name twice", "A=1\nA=2", /line 2: A is set twice/],
    ["another encoding", "A=\u00e9\0", /UTF-8/],
  ])("%s is refused, with its line", (_, text, message) => {
    expect(() => parse(text)).toThrow(message);
  });

  test.each(["utf16le", "latin1"] as const)("a file in %s is refused", (encoding) => {
    const bytes = Buffer.from(
      "\uFEFFPORT=80é80".replace(encoding === "latin1" ? "\uFEFF" : "", ""),
      encoding,
    );
    expect(() => parseEnvironmentFile(bytes)).toThrow(/save it in that encoding/);
  });

  test("a near match of a setting's name is questioned; an unrelated name is not", () => {
    const { doubts } = parse("PROT=1\nPORTS=1\nDATABASE_UR=1\nSTRIPE_KEY=1\nPORT=1\nport=1");
    expect(doubts).toEqual([
      expect.stringContaining("did you mean PORT?"),
      expect.stringContaining("did you mean PORT?"),
      expect.stringContaining("did you mean DATABASE_URL?"),
      expect.stringContaining("did you mean PORT?"),
    ]);
  });
});
