import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createLogger, createLoggerTo, moduleLog, ownedLog } from "./log.ts";
import { createLogHub } from "./log-hub.ts";
import { keptText, redact, redactText } from "./redact.ts";

const secret = "s3cr3t-Value-9876";
const jwt = `eyJhbGciOiJFZERTQSJ9.${btoa(secret)}.c2lnbmF0dXJlc2lnbmF0dXJl`;

function recorded() {
  const lines: string[] = [];
  return { lines, log: createLoggerTo("trace", (line) => lines.push(line)) };
}

describe("a line of the log", () => {
  test.each([
    ["CR and LF", "a\r\nb"],
    ["a forged line", 'a"}\n{"level":60,"msg":"forged"}'],
    ["ANSI", "\u001b[2J\u001b[31mred"],
    ["C1 controls", "\u009b31mred\u0085next"],
    ["Unicode's line breaks", "a\u2028b\u2029c"],
    ["NUL and DEL", "a\0b\u007f"],
  ])("stays one JSON line with %s in what it says (attack 110)", (_what, text) => {
    const { lines, log } = recorded();
    log.child({ bound: text }).warn({ field: text, err: new Error(text) }, text);
    expect(lines).toHaveLength(1);
    const [line = ""] = lines;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
    expect(line.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
    expect(line.at(-1)).toBe("\n");
    expect(JSON.parse(line)).toMatchObject({ level: 40, msg: text, field: text, bound: text });
  });

  test.each([
    ["a field", { password: secret }, ""],
    ["a nested field", { body: { new_password: secret, list: [{ apiKey: secret }] } }, ""],
    ["headers", { headers: { authorization: `Bearer ${secret}`, cookie: `s=${secret}` } }, ""],
    ["an address", { url: `https://x.example/f?signature=${secret}&a=1` }, ""],
    ["an address's password", { url: `postgres://user:${secret}@host/db` }, ""],
    ["the message", {}, `sent with Bearer ${secret}`],
    ["a token in the message", {}, `token ${jwt} is bad`],
    ["an error's message", { err: new Error(`GET /?token=${secret} failed`) }, ""],
    ["an error's cause", { err: new Error("x", { cause: new Error(`Bearer ${secret}`) }) }, ""],
    [
      "an error's fields",
      { err: Object.assign(new Error("x"), { detail: secret, config: { secret } }) },
      "",
    ],
    ["errors of an error", { err: new AggregateError([new Error(`Bearer ${secret}`)]) }, ""],
    ["bytes", { bytes: Buffer.from(secret) }, ""],
    ["an address that is an object", { at: new URL(`https://x.example/?token=${secret}`) }, ""],
    ["a field by a name of its own", JSON.parse(`{"__proto__":{"password":"${secret}"}}`), ""],
    ["what is nothing but a secret (Bearer)", {}, `BEARER ${secret}`],
    ["what is nothing but a secret (Basic)", {}, `(basic ${secret}`],
    ["what is nothing but a secret (Digest)", {}, `digest  ${secret}`],
    ["what is nothing but a secret (a key)", {}, `IK_abc${secret}`],
    ["what is nothing but a secret (a token)", {}, `Ey_abcdefghij.${secret}`],
    ["what is nothing but a secret (an address)", {}, `a://:${secret}@`],
    ["what is nothing but a secret (a query)", {}, `?code=${secret}`],
    ["what is nothing but a secret (a query's second)", {}, `&sig=${secret}`],
    ["what is nothing but a secret (a matrix parameter)", {}, `;state=${secret}`],
  ])("has no secret from %s (attack 111)", (_where, fields, message) => {
    const { lines, log } = recorded();
    log.error(fields, message);
    expect(lines).toHaveLength(1);
    expect(lines.join("")).not.toContain(secret);
    expect(lines.join("")).not.toContain(jwt);
    expect(lines.join("")).not.toContain(Buffer.from(secret).join());
  });
});

test("lines that come together are written at once, in their order", async () => {
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  onTestFinished(() => write.mockRestore());
  const [one, another] = [createLogger("info"), createLogger("info")];
  one.info("a");
  another.info("b");
  one.info("c");
  await expect.poll(() => write.mock.calls).toHaveLength(1);
  one.info("d");
  await expect.poll(() => write.mock.calls).toHaveLength(2);
  const written = write.mock.calls.map(([lines]) =>
    String(lines)
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).msg),
  );
  expect(written).toEqual([["a", "b", "c"], ["d"]]);
});

test("what only sounds like a secret is kept", () => {
  const harmless = { token_count: 3, password_changed_at: "now", has_password: true, key: "acme" };
  expect(redact(harmless)).toEqual(harmless);
  expect(redactText("the token has expired")).toBe("the token has expired");
});

describe("a text that is cut", () => {
  test.each([
    ["a password in an address", `a://user:${secret}@host`],
    ["a key", `ik_abc${secret}${secret}`],
    ["a token", jwt],
    ["a parameter", `?token=${secret}`],
    ["what comes after Bearer", `Bearer ${secret}`],
  ])("has nothing of %s, wherever the cut goes through it", (_what, text) => {
    for (let cut = 1; cut < text.length; cut += 1) {
      const kept = redactText(`${"x ".repeat(50)}${text} and more`, 100 + cut);
      for (let start = 0; start + 6 <= secret.length; start += 1) {
        expect(kept).not.toContain(secret.slice(start, start + 6));
      }
      expect(kept).not.toContain(jwt.split(".")[1]?.slice(0, 6));
    }
  });

  test("is cut between characters", () => {
    expect(keptText("a\u{1f600}\u{1f600}", 4)).toBe("a\u{1f600}");
    expect(keptText("a\0b\ud800", 10)).toBe("ab\ufffd");
  });

  test("has nothing of a secret of which others come first, and shrink", () => {
    const first = `?token=${"t".repeat(400)} `;
    expect(redactText(`${first}?token=${secret}`, 420)).not.toContain(secret.slice(0, 6));
  });
});

test("only whole words announce a secret, and all that follows is left out", () => {
  expect(redactText(`Basic Bearer ${secret}`)).toBe("Basic Bearer [redacted]");
  const token = jwt.replace("=", "");
  expect(redactText(`ey.${token} ${token}`)).toBe("ey.[redacted] [redacted]");
  expect(redactText(`?a=1&token=${secret}&b=2 a://u:${secret}@h`)).toBe(
    "?a=1&token=[redacted]&b=2 a://u:[redacted]@h",
  );
});

describe("levels by module", () => {
  function hubOf(level: string, levels: Record<string, string>) {
    const written: string[] = [];
    const base = createLoggerTo(level, (line) => written.push(JSON.parse(line).msg));
    const files: string[] = [];
    const hub = createLogHub({
      format: "text",
      bufferSize: 10,
      levels,
      file: (line) => files.push(line),
    });
    return { hub, log: hub.tap(base), written, files };
  }

  test("are those of LOG_LEVEL, and the general one elsewhere", () => {
    const { log, written, files } = hubOf("warn", { http: "debug", database: "silent" });
    const http = moduleLog(log, "http");
    for (const [name, each] of [
      ["general", log],
      ["http", http],
      ["http's child", ownedLog(http, {}, "tenant")],
      ["database", moduleLog(log, "database")],
      ["mail", moduleLog(log, "mail")],
    ] as const) {
      each.debug(`${name} debug`);
      each.warn(`${name} warn`);
    }
    expect(written).toEqual([
      "general warn",
      "http debug",
      "http warn",
      "http's child debug",
      "http's child warn",
      "mail warn",
    ]);
    expect(files).toHaveLength(written.length);
    expect(JSON.parse(files[1] ?? "")).toMatchObject({ module: "http", level: 20 });
  });

  test("hold while somebody watches, who sees info of all", () => {
    const { hub, log, written } = hubOf("error", { http: "debug" });
    const mail = moduleLog(log, "mail");
    let leave = (): void => {};
    hub.watch(
      {
        sendFrames() {},
        onLeft: (fn) => {
          leave = fn;
        },
      },
      {},
    );
    expect([mail.level, moduleLog(log, "http").level]).toEqual(["info", "debug"]);
    mail.warn("to viewers only");
    leave();
    expect([mail.level, log.level]).toEqual(["error", "error"]);
    mail.warn("to nobody");
    expect(written).toEqual([]);
  });
});
