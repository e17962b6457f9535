/** What a file is called, and what it is: as its uploader says, and as others see it. */
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { downloadOf, png, send, storedOf, upload, usageOf } from "../../testing/test-files.ts";

let app: App;
let a: TestMember;

beforeAll(async () => {
  app = await createTestApp();
  a = await createMember(app);
});
afterAll(() => app?.close());

const stored = (member: TestMember) => storedOf(app, member);
const usage = (member: TestMember) => usageOf(app, member);

describe("a file's name", () => {
  it.each([
    ["../../etc/passwd", "passwd"],
    ["..\\..\\boot.ini", "boot.ini"],
    ["%2e%2e%2fetc%2fpasswd"],
    ["//server/share", "share"],
    ["CON"],
    ["Übersicht “1”; filename=x.html"],
    ["😀.txt"],
  ])(
    "like %j is what people call it, and nothing else (attack 64)",
    async (given, name = given) => {
      const { body } = await upload(app, a, { content: "x", fields: { file_name: given } });
      expect(body).toMatchObject({ file_name: name, file_key: `${a.tenant.id}/${body.id}` });
      const renamed = await a.call("PATCH", `/files/${body.id}`, { file_name: given });
      expect(renamed.body.file_name).toBe(name);
      const note = { file_name: given, file_size: 1, mime_type: "text/plain" };
      expect((await a.call("POST", "/files", note)).body.file.file_name).toBe(name);
      const { headers } = await app.inject(await downloadOf(app, a, body.id));
      const disposition = String(headers["content-disposition"]);
      expect(disposition).toMatch(/^inline; filename="[^"\\/]*"(; filename\*=UTF-8''[^;,"' ]+)?$/);
      await a.call("DELETE", `/files/${body.id}`);
    },
  );

  it.each([
    ["255 emoji", "😀".repeat(255)],
    ["255 emoji of several characters", `${"👩‍💻".repeat(82)}.tar`],
    ["Chinese, with an extension", `${"報".repeat(250)}.pdf`],
    ["nothing but quotes", '"'.repeat(255)],
    ["nothing but percent signs", "%".repeat(255)],
  ])("of %s can be downloaded", async (_what, name) => {
    const { status, body } = await upload(app, a, { content: "x", fields: { file_name: name } });
    expect([status, body.file_name]).toEqual([201, name]);
    const url = await downloadOf(app, a, body.id);
    expect(url.length).toBeLessThan(4_000);
    const { statusCode, headers } = await app.inject(url);
    expect(statusCode).toBe(200);
    const [, encoded] =
      /filename\*=UTF-8''(\S+)/.exec(String(headers["content-disposition"])) ?? [];
    const shown = decodeURIComponent(encoded ?? "");
    // No file system takes a longer one.
    expect(Buffer.byteLength(shown)).toBeLessThanOrEqual(255);
    expect(shown).toMatch(/^[^\ufffd]+$/);
    if (name.endsWith(".pdf")) expect(shown).toMatch(/報\.pdf$/);
    await a.call("DELETE", `/files/${body.id}`);
  });

  it.each(["می\u200cخواهم.txt", "👩\u200d💻.png", "☂\ufe0f.txt", "शक्\u200dति.txt"])(
    "like %j keeps its joiners",
    async (name) => {
      const { body } = await upload(app, a, { content: "x", name });
      expect(body.file_name).toBe(name);
    },
  );

  it("is kept in its composed form, in whichever it comes", async () => {
    const decomposed = "Ju\u0308rgen.txt";
    const { body } = await upload(app, a, { content: "x", name: decomposed });
    expect(body.file_name).toBe("J\u00fcrgen.txt");
    const renamed = await a.call("PATCH", `/files/${body.id}`, { file_name: `A${decomposed}` });
    expect(renamed.body.file_name).toBe("AJ\u00fcrgen.txt");
    const note = { file_name: decomposed, file_size: 1, mime_type: "text/plain" };
    expect((await a.call("POST", "/files", note)).body.file.file_name).toBe("J\u00fcrgen.txt");
    // Two characters each, once they are composed.
    const grown = await a.call("PATCH", `/files/${body.id}`, { file_name: "\u0958".repeat(200) });
    expect(grown.body.errors?.[0].message).toContain("255");
  });

  it.each([
    ["a\u0085b", "U+0085"],
    ["invoice_\u202egpj.exe", "U+202E"],
    ["a\u2066b", "U+2066"],
    ["a\u061cb", "U+061C"],
    ["\u200fa", "U+200F"],
    ["a\u200bb", "U+200B"],
    ["a\u200db", "U+200D"],
    ["a\ufeff", "U+FEFF"],
    ["a\u00adb", "U+00AD"],
    ["a\u2028b", "U+2028"],
    ["a\u{e0041}", "U+E0041"],
  ])("like %j is refused, and the answer names the character", async (name, character) => {
    const note = { file_name: name, file_size: 1, mime_type: "text/plain" };
    const { id } = (await upload(app, a, { content: "x" })).body;
    for (const { status, body } of [
      await a.call("POST", "/files", note),
      await a.call("PATCH", `/files/${id}`, { file_name: name }),
      await upload(app, a, { content: "x", fields: { file_name: name } }),
      await upload(app, a, { content: "x", name }),
    ]) {
      expect([status, body.errors?.[0].message]).toEqual([400, expect.stringContaining(character)]);
    }
  });

  it.each([
    ...["", "..", ".", " .. ", "  ", "\u00a0", "a\u0000b", "a\r\nset-cookie: x", "x".repeat(256)],
  ])("like %j is refused", async (name) => {
    expect((await upload(app, a, { content: "x", fields: { file_name: name } })).status).toBe(400);
    const body = { file_name: name, file_size: 1, mime_type: "text/plain" };
    expect((await a.call("POST", "/files", body)).status).toBe(400);
    const { id } = (await upload(app, a, { content: "x" })).body;
    expect((await a.call("PATCH", `/files/${id}`, { file_name: name })).status).toBe(400);
  });

  it("whose line ends a browser has escaped is refused", async () => {
    expect((await upload(app, a, { content: "x", name: "a%0D%0Ab" })).status).toBe(400);
    const { body } = await upload(app, a, { content: "x", name: "a%22b.txt" });
    expect(body.file_name).toBe('a"b.txt');
  });
});

describe("a file's type", () => {
  it.each([
    ["image/png", "<svg onload=alert(1)>"],
    ["image/jpeg", "\x89PNG\r\n\x1a\n"],
    ["application/pdf", "<!doctype html>"],
    ["video/mp4", "MZ\x90"],
    ["text/plain", "MZ\x90\x00\x03"],
  ])(
    "is looked at: what calls itself %s and is not is refused, and leaves nothing",
    async (type, content) => {
      const member = await createMember(app);
      const bytes = Buffer.from(content, "latin1");
      const { status, body } = await upload(app, member, { content: bytes, type });
      expect([status, body.code]).toEqual([415, "file_type_mismatch"]);

      const asked = { file_name: "a", file_size: bytes.length, mime_type: type };
      const { file, upload: signed } = (await member.call("POST", "/files", asked)).body;
      expect(await send(app, signed, bytes)).toBe(204);
      const confirmed = await member.call("POST", `/files/${file.id}/confirm`);
      expect([confirmed.status, confirmed.body.code]).toEqual([415, "file_type_mismatch"]);
      expect([stored(member), await usage(member)]).toEqual([[], 0]);
    },
  );

  it.each([
    ["image/svg+xml", "attachment"],
    ["text/html", "attachment"],
    ["application/xhtml+xml", "attachment"],
    ["application/pdf", "attachment"],
    ["text/javascript", "attachment"],
    ["application/octet-stream", "attachment"],
    ["image/png", "inline"],
    ["text/plain", "inline"],
  ])(
    "decides how it is shown: %s as %s, never to be guessed at (attack 69)",
    async (type, shown) => {
      const content =
        type === "image/png" ? png : type === "application/pdf" ? "%PDF-1.7" : "<script>";
      const { body } = await upload(app, a, { content, type });
      const { headers } = await app.inject(await downloadOf(app, a, body.id));
      expect(headers["content-disposition"]).toMatch(new RegExp(`^${shown};`));
      expect(headers["content-type"]).toBe(type);
      expect(headers["x-content-type-options"]).toBe("nosniff");
      expect(headers["content-security-policy"]).toContain("sandbox");
    },
  );
});

describe("a file's type has parameters that", () => {
  it.each([
    ["text/plain; charset=utf-8", "text/plain; charset=utf-8", "inline"],
    ['Text/Plain;Charset="utf-8"', "text/plain; charset=utf-8", "inline"],
    [
      "text/plain; charset=iso-8859-1; format=flowed",
      "text/plain; charset=iso-8859-1; format=flowed",
      "inline",
    ],
    ["text/html; charset=utf-8", "text/html; charset=utf-8", "attachment"],
    ["image/svg+xml; charset=utf-8", "image/svg+xml; charset=utf-8", "attachment"],
  ])("are kept and served: %s", async (type, kept, shown) => {
    const through = (await upload(app, a, { content: "four", type })).body;
    const field = (await upload(app, a, { content: "four", fields: { mime_type: type } })).body;
    const asked = { file_name: "a", file_size: 4, mime_type: type };
    const { file, upload: signed } = (await a.call("POST", "/files", asked)).body;
    expect(signed.headers).toEqual({ "content-type": kept });
    expect(await send(app, { ...signed, headers: { "content-type": type } }, "four")).toBe(204);
    expect((await a.call("POST", `/files/${file.id}/confirm`)).status).toBe(200);
    for (const { id } of [through, field, file]) {
      expect((await a.call("GET", `/files/${id}`)).body.mime_type).toBe(kept);
      const { headers } = await app.inject(await downloadOf(app, a, id));
      expect(headers).toMatchObject({ "content-type": kept, "x-content-type-options": "nosniff" });
      expect(headers["content-disposition"]).toMatch(new RegExp(`^${shown};`));
    }
  });

  it("do not hide what it is", async () => {
    const type = "image/png; charset=utf-8";
    const { body } = await upload(app, a, { content: "<svg onload=alert(1)>", type });
    expect(body.code).toBe("file_type_mismatch");
  });

  it.each(["text", "text/plain; charset", "text/plain; a=b\r\nx: y", `a/${"b".repeat(99)}`])(
    "are none are refused where they are asked for: %j",
    async (mime_type) => {
      const asked = { file_name: "a", file_size: 4, mime_type };
      expect((await a.call("POST", "/files", asked)).status).toBe(400);
      expect((await upload(app, a, { content: "four", fields: { mime_type } })).status).toBe(400);
    },
  );

  it("say how text is written, which may have NULs then", async () => {
    const content = Buffer.from("text", "utf16le");
    const utf16 = await upload(app, a, { content, type: "text/plain; charset=utf-16le" });
    expect(utf16.status).toBe(201);
    expect((await upload(app, a, { content, type: "text/plain" })).status).toBe(415);
  });
});

test("text that comes through the server is looked at to its end", async () => {
  const member = await createMember(app);
  const content = Buffer.alloc(300_000, "x");
  content[299_999] = 0;
  const { status, body } = await upload(app, member, { content });
  expect([status, body.code]).toEqual([415, "file_type_mismatch"]);
  expect([stored(member), await usage(member)]).toEqual([[], 0]);
});

test("metadata of the greatest size goes through a form, as it goes through JSON", async () => {
  const text = "報".repeat(1_000);
  const metadata = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${i}`, text]));
  const fields = { metadata: JSON.stringify(metadata) };
  const { status, body } = await upload(app, a, { content: "x", fields });
  expect([status, body.metadata]).toEqual([201, metadata]);
  const renamed = await a.call("PATCH", `/files/${body.id}`, { metadata });
  expect(renamed.status).toBe(200);
});
