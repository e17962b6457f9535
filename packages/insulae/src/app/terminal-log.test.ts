import { stripVTControlCharacters } from "node:util";
import { afterEach, expect, test, vi } from "vitest";
import { createTerminalLogger } from "./terminal-log.ts";

afterEach(() => vi.restoreAllMocks());

test("client input can't forge lines or control the terminal", () => {
  let output = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    output += text;
    return true;
  });
  const log = createTerminalLogger("info");
  const hostile = "x\n12:00:00 ERROR forged\u001b[2J\u009b31m\u007f";
  log.warn({ err: new Error(hostile), [hostile]: hostile }, hostile);
  log.error({ err: new Error(hostile) }, "failed");
  // The colours of levels are ours.
  const lines = stripVTControlCharacters(output).trimEnd().split("\n");
  expect(output).not.toContain("\u001b[2J");
  expect(lines.join("")).not.toMatch(/\p{Cc}/u);
  expect(lines.slice(0, 2)).toEqual([
    expect.stringMatching(/^\d\d:\d\d:\d\d warn /),
    expect.stringMatching(/^\d\d:\d\d:\d\d error failed Error: x$/),
  ]);
  for (const line of lines.slice(2)) expect(line).toMatch(/^ {4}\S/);
});
