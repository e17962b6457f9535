import { describe, expect, it } from "vitest";
import { formatLine, readLine } from "./log-line.ts";

describe("a line", () => {
  it("is shown without secrets, also where it is no JSON", () => {
    const shown = (line: string) => formatLine(readLine(line), "text").replace(/^\S+ \S+ /, "");
    const err = { message: "no way with Bearer abcdefgh", code: "E_NO" };
    const line = JSON.stringify({ level: 50, msg: "?token=abc", password: "secret", err });
    expect(shown(line)).toBe(
      "ERROR [insulae::server] ?token=[redacted] password=[redacted] error=no way with Bearer [redacted]",
    );
    expect(shown("Bearer abcdefgh\u001b[31m\n")).toBe(
      "INFO [insulae::server] Bearer [redacted]\\u001b[31m",
    );
  });
});
