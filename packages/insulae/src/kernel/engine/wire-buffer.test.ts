import { expect, test } from "vitest";
import { createWireBuffer } from "./wire-buffer.ts";

/** The messages as (code, body). */
function messagesOf(bytes: Buffer | undefined): [string, Buffer][] {
  const messages: [string, Buffer][] = [];
  for (let at = 0; bytes !== undefined && at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 1);
    messages.push([String.fromCharCode(bytes[at] ?? 0), bytes.subarray(at + 5, at + 1 + length)]);
    at += 1 + length;
  }
  return messages;
}

test("messages are whole, also where the buffer grows within one", () => {
  const buffer = createWireBuffer();
  const long = "ä€😀".repeat(30_000);
  buffer.parse("s1", "select $1, $2, $3");
  buffer.execute("s1", [long, null, 7]);
  buffer.sync();
  const messages = messagesOf(buffer.take());
  expect(messages.map(([code]) => code).join("")).toBe("PBES");
  const bind = messages[1]?.[1] ?? Buffer.alloc(0);
  expect(bind.includes(Buffer.from(long))).toBe(true);
  expect(bind.subarray(-11).toString("hex")).toBe("ffffffff00000001370000"); // null, '7', text
  expect(buffer.take()).toBeUndefined();
});

test("what was taken is not written over by what comes after", () => {
  const buffer = createWireBuffer();
  const taken = Array.from({ length: 200 }, (_, i) => {
    buffer.execute("s1", [String(i).repeat(500)]);
    return buffer.take();
  });
  taken.forEach((bytes, i) => {
    expect(messagesOf(bytes)[0]?.[1].includes(String(i).repeat(500))).toBe(true);
  });
});

test("bytes are sent as bytes", () => {
  const buffer = createWireBuffer();
  buffer.execute("s1", [Buffer.from([0, 255]), "x"]);
  const [, bind] = messagesOf(buffer.take())[0] ?? [];
  expect(bind?.subarray(4, 10).toString("hex")).toBe("000200010000"); // formats: binary, text
});

test("what is taken back is not sent", () => {
  const buffer = createWireBuffer();
  buffer.execute("s1", ["kept"]);
  const mark = buffer.mark();
  buffer.execute("s2", ["x".repeat(100_000)]);
  buffer.rewind(mark);
  buffer.sync();
  const messages = messagesOf(buffer.take());
  expect(messages.map(([code]) => code).join("")).toBe("BES");
});

test("more values than the protocol can count are refused", () => {
  const buffer = createWireBuffer();
  expect(() => buffer.execute("s1", new Array(65_536).fill("x"))).toThrow("65535");
  expect(() => buffer.parse("s1", "select '\0'")).toThrow("NUL");
});
