import { expect, test } from "vitest";
import { formatLine } from "../telemetry/log-line.ts";
import { applicationFrame } from "./call-site.ts";
import { printable, printableLines } from "./text.ts";

const hostile = "a\n12:00:00 INFO  forged\r\u001b[2J\u007f\u009b31m\u0085\u2028\u202e\ud800b";

test("a printable text is on one line, and has nothing that a terminal obeys", () => {
  expect(printable(hostile)).toBe(
    "a\\n12:00:00 INFO  forged\\r\\u001b[2J\\u007f\\u009b31m\\u0085\\u2028\\u202e\\ud800b",
  );
  expect(printable("Zürich 🦊 \\n")).toBe("Zürich 🦊 \\n");
});

test("of several lines none but the first looks like a line of its own", () => {
  expect(printableLines("Error: a\n12:00:00 INFO  forged\u001b[2J")).toBe(
    "Error: a\n    12:00:00 INFO  forged\\u001b[2J",
  );
});

test("a line of the live log has none of them, wherever they come from", () => {
  for (const format of ["text", "json"] as const) {
    const fields = { msg: hostile, module: hostile, [hostile]: hostile, err: { message: hostile } };
    expect(formatLine(fields, format)).not.toMatch(/[\p{Cc}\u2028\u202e]/u);
  }
});

test("an error's message can't pretend to be a frame of its stack", () => {
  const error = new Error("no\n    at forged (/srv/forged.ts:1:1)");
  error.stack = `Error: ${error.message}\n    at real (/srv/real.ts:2:2)`;
  expect(applicationFrame(error)).toBe("/srv/real.ts:2:2");
});
