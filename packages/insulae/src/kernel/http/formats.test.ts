import { describe, expect, it } from "vitest";
import { shortestRun } from "../../testing/processor-time.ts";
import { stringFormats } from "./formats.ts";

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
      const check = () => expect(stringFormats[name]?.(text)).toBe(false);
      expect(shortestRun(check)).toBeLessThan(50);
    }
  });

  it.each([
    [
      "uuid",
      "0190c9c0-0000-7000-8000-00000000000f",
      "urn:uuid:0190c9c0-0000-7000-8000-000000000001",
    ],
    ["email", "ada@example.com", '"x@evil y"@corp'],
    ["email", "a+b@sub.example.co.uk", "ada@example.com\r\nBcc: x@example.com"],
    ["date-time", "2024-02-29T12:00:00Z", "2023-02-29T12:00:00Z"],
    ["date", "2024-02-29", "2024-13-01"],
    ["uri", "https://example.com/a?b#c", "not a uri"],
    ["ipv4", "127.0.0.1", "127.0.0.256"],
    ["ipv6", "::1", "::g"],
    ["hostname", "a.example.com", "-a.example.com"],
  ])("%s takes %j and refuses %j", (name, good, bad) => {
    expect(stringFormats[name]?.(good)).toBe(true);
    expect(stringFormats[name]?.(bad)).toBe(false);
  });
});
