import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import type { App } from "../../app.ts";
import { addMember, createMember, type TestMember, unknownId } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { downloadOf, send, upload } from "../../testing/test-files.ts";

let app: App;
let a: TestMember;
let b: TestMember;

beforeAll(async () => {
  app = await createTestApp();
  [a, b] = [await createMember(app), await createMember(app, "schema")];
});
afterAll(() => app?.close());

const png = Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), Buffer.alloc(1_000, 7)]);
const sha256 = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex");

/** What is in the folder for a tenant, and what is unfinished for anybody. */
const stored = ({ tenant }: TestMember): string[] =>
  [tenant.id, "unfinished"].flatMap((place) => {
    try {
      return readdirSync(join(app.config.dataDir, "files", place), { recursive: true })
        .map(String)
        .filter((name) => name !== "incoming");
    } catch {
      return [];
    }
  });
const usage = async ({ tenant }: TestMember) => {
  const [row] = await app.withTenant(tenant, ({ db }) =>
    db.query<{ bytes: string }>("select coalesce(sum(file_size), 0) as bytes from files"),
  );
  return Number(row?.bytes);
};
const limited = async (bytes: number): Promise<TestMember> => {
  const member = await createMember(app);
  await app.tenants.update(member.tenant.id, { settings: { limits: { storage_bytes: bytes } } });
  return member;
};

describe.each(["pool", "schema", "database"] as const)(
  "in a tenant of isolation %s",
  (isolation) => {
    // Shows S1-125, S1-128, S1-130, S1-131, S1-132, S1-133
    it("a file is uploaded, shown, renamed, downloaded and deleted", async () => {
      const member = await createMember(app, isolation);
      const { status, body } = await upload(app, member, {
        content: png,
        name: "photo.png",
        type: "image/png",
        fields: { metadata: '{"album":"Rome"}', file_size: String(png.length) },
      });
      expect([status, body]).toEqual([
        201,
        {
          id: expect.any(String),
          user_id: member.userId,
          file_key: `${member.tenant.id}/${body.id}`,
          file_name: "photo.png",
          mime_type: "image/png",
          file_size: png.length,
          sha256: sha256(png),
          metadata: { album: "Rome" },
          status: "ready",
          created_at: expect.any(String),
          updated_at: expect.any(String),
        },
      ]);
      expect((await member.call("GET", `/files/${body.id}`)).body).toEqual(body);
      const renamed = await member.call("PATCH", `/files/${body.id}`, {
        file_name: "Forum Romanum.png",
        metadata: {},
      });
      expect(renamed.body).toMatchObject({ file_name: "Forum Romanum.png", metadata: {} });
      const url = await downloadOf(app, member, body.id);
      const { statusCode, rawPayload, headers } = await app.inject(url);
      expect([statusCode, rawPayload.equals(png)]).toEqual([200, true]);
      expect(headers).toMatchObject({
        "content-type": "image/png",
        "content-length": String(png.length),
        "content-disposition": 'inline; filename="Forum Romanum.png"',
        "x-content-type-options": "nosniff",
      });
      expect(stored(member)).toEqual([body.id]);
      expect(await usage(member)).toBe(png.length);
      expect((await member.call("DELETE", `/files/${body.id}`)).status).toBe(204);
      expect((await member.call("GET", `/files/${body.id}`)).body.code).toBe("file_not_found");
      expect(stored(member)).toEqual([]);
      expect(await usage(member)).toBe(0);
      expect((await app.inject(url)).statusCode).toBe(403);
    });

    it("a file is sent straight to the storage, and confirmed", async () => {
      const member = await createMember(app, isolation);
      const asked = await member.call("POST", "/files", {
        file_name: "photo.png",
        file_size: png.length,
        mime_type: "image/png",
      });
      expect(asked.status).toBe(201);
      const { file, upload } = asked.body;
      expect(file).toMatchObject({ status: "pending", sha256: null, file_size: png.length });
      expect(upload).toMatchObject({ method: "PUT", headers: { "content-type": "image/png" } });
      const path = `/files/${file.id}`;
      expect((await member.call("GET", `${path}/download`)).body.code).toBe("file_not_ready");
      expect((await member.call("POST", `${path}/confirm`)).body).toMatchObject({
        status: 404,
        code: "file_not_uploaded",
      });
      expect(await send(app, upload, png)).toBe(204);
      const [confirmed, again] = await Promise.all([
        member.call("POST", `${path}/confirm`),
        member.call("POST", `${path}/confirm`),
      ]);
      expect(confirmed.body).toMatchObject({ status: "ready", sha256: sha256(png) });
      expect(again).toEqual(confirmed);
      expect(stored(member)).toEqual([file.id]);

      // Nothing comes with the same request afterwards.
      const other = Buffer.from(png).fill(9, 8);
      expect(await send(app, upload, other)).toBe(403);
      expect(stored(member)).toEqual([file.id]);
      expect((await member.call("POST", `${path}/confirm`)).body).toEqual(confirmed.body);
      const { rawPayload } = await app.inject(await downloadOf(app, member, file.id));
      expect(rawPayload.equals(png)).toBe(true);
    });
  },
);

// Shows S1-134
test("lists are searched, counted, and leave out what has not come", async () => {
  const member = await createMember(app);
  for (const name of ["Report.txt", "Photo.txt"])
    await upload(app, member, { content: name, name });
  await member.call("POST", "/files", {
    file_name: "To come.txt",
    file_size: 1,
    mime_type: "text/plain",
  });
  const list = async (query: string) => {
    const { items, total } = (await member.call("GET", `/files?${query}`)).body;
    return [items.map(({ file_name }: { file_name: string }) => file_name), total];
  };
  expect(await list("total=true")).toEqual([["Photo.txt", "Report.txt"], 2]);
  expect(await list("q=port")).toEqual([["Report.txt"], undefined]);
  expect(await list("status=pending")).toEqual([["To come.txt"], undefined]);
});

describe("a file's name", () => {
  it.each([
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "%2e%2e%2fetc%2fpasswd",
    "//server/share",
    "CON",
    "Übersicht “1”; filename=x.html",
    "😀.txt",
  ])("like %j is what people call it, and nothing else (attack 64)", async (name) => {
    const { body } = await upload(app, a, { content: "x", fields: { file_name: name } });
    expect(body).toMatchObject({ file_name: name, file_key: `${a.tenant.id}/${body.id}` });
    const { headers } = await app.inject(await downloadOf(app, a, body.id));
    const disposition = String(headers["content-disposition"]);
    expect(disposition).toMatch(/^inline; filename="[^"\\/]*"(; filename\*=UTF-8''[^;,"' ]+)?$/);
    await a.call("DELETE", `/files/${body.id}`);
  });

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

  it.each(["", "a\u0000b", "a\r\nset-cookie: x", "x".repeat(256)])(
    "like %j is refused",
    async (name) => {
      expect((await upload(app, a, { content: "x", fields: { file_name: name } })).status).toBe(
        400,
      );
      const body = { file_name: name, file_size: 1, mime_type: "text/plain" };
      expect((await a.call("POST", "/files", body)).status).toBe(400);
    },
  );
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

describe("a file's size", () => {
  // Shows S1-123
  it("that is said has to be right", async () => {
    const member = await createMember(app);
    for (const [size, status, code] of [
      ["3", 413, "body_too_large"],
      ["5", 422, "file_size_mismatch"],
      ["-1", 400, "validation_failed"],
      ["100000001", 400, "validation_failed"],
      ["4", 201, undefined],
    ] as const) {
      const reply = await upload(app, member, { content: "four", fields: { file_size: size } });
      expect([reply.status, reply.body.code]).toEqual([status, code]);
    }
    expect([stored(member).length, await usage(member)]).toEqual([1, 4]);
  });

  it("has to be known beforehand, by a field or by the request's own", async () => {
    const head = "--b\r\ncontent-disposition: form-data; name=";
    async function* form(fields: string) {
      yield Buffer.from(`${fields}${head}"file"; filename="a"\r\n\r\nfour\r\n--b--\r\n`);
    }
    const post = (fields: string) =>
      app.inject({
        method: "POST",
        url: "/api/v1/files/upload",
        headers: {
          authorization: `Bearer ${a.token}`,
          "content-type": "multipart/form-data; boundary=b",
        },
        // Without a length.
        payload: Readable.from(form(fields)),
      });
    expect((await post("")).json().code).toBe("length_required");
    expect((await post(`${head}"file_size"\r\n\r\n4\r\n`)).statusCode).toBe(201);
  });

  it("of nothing is a size", async () => {
    const { body } = await upload(app, a, { content: "" });
    expect(body).toMatchObject({ file_size: 0, sha256: sha256("") });
    const { statusCode, rawPayload } = await app.inject(await downloadOf(app, a, body.id));
    expect([statusCode, rawPayload.length]).toEqual([200, 0]);
  });

  it("of an upload straight to the storage is the one in the storage", async () => {
    const member = await createMember(app);
    const asked = { file_name: "a", file_size: 4, mime_type: "text/plain" };
    const { file } = (await member.call("POST", "/files", asked)).body;
    // As if the storage had taken another one.
    await app.withTenant(member.tenant, ({ storage }) =>
      storage.put(`incoming/${file.id}`, Readable.from([Buffer.alloc(5)]), "text/plain"),
    );
    const { status, body } = await member.call("POST", `/files/${file.id}/confirm`);
    expect([status, body.code]).toEqual([422, "file_size_mismatch"]);
    expect([stored(member), await usage(member)]).toEqual([[], 0]);
    expect((await member.call("GET", `/files/${file.id}`)).status).toBe(404);
  });
});

describe("the quota", () => {
  it("holds when 20 uploads come at once (attack 70)", async () => {
    const member = await limited(50_000);
    const content = Buffer.alloc(10_000, "x");
    const replies = await Promise.all(
      Array.from({ length: 20 }, () =>
        upload(app, member, { content, fields: { file_size: "10000" } }),
      ),
    );
    const count = (status: number) => replies.filter((reply) => reply.status === status).length;
    expect([count(201), count(429)]).toEqual([5, 15]);
    expect(replies.find(({ status }) => status === 429)?.body).toMatchObject({
      code: "quota_exceeded",
      quota: "storage_bytes",
      limit: 50_000,
    });
    expect([await usage(member), stored(member).length]).toEqual([50_000, 5]);
  });

  it("holds for what was only asked for, and what goes makes room", async () => {
    const member = await limited(10);
    const asked = (size: number) =>
      member.call("POST", "/files", { file_name: "a", file_size: size, mime_type: "text/plain" });
    const replies = await Promise.all(Array.from({ length: 20 }, () => asked(4)));
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(2);
    expect((await asked(11)).status).toBe(429);
    const [one] = replies.filter(({ status }) => status === 201);
    await member.call("DELETE", `/files/${one?.body.file.id}`);
    expect((await asked(7)).status).toBe(429);
    expect((await asked(6)).status).toBe(201);
    expect(await usage(member)).toBe(10);
  });

  it("is what files take, whatever happens to them", async () => {
    const member = await limited(100_000);
    const ids: string[] = [];
    await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const content = "x".repeat((i * 37) % 3_000);
        // Some of them are refused, in one way or another.
        const fields = { file_size: String(content.length + (i % 3 === 0 ? 1 : 0)) };
        const { status, body } = await upload(app, member, {
          content,
          ...(i % 2 ? { fields } : {}),
          type: i % 5 === 0 ? "image/png" : "text/plain",
        });
        if (status === 201) ids.push(body.id);
        if (i % 4 === 0) await member.call("DELETE", `/files/${ids.pop() ?? unknownId}`);
      }),
    );
    const [row] = await app.withTenant(member.tenant, ({ db }) =>
      db.query(
        `select used::int as bytes, (select count(*)::int from files) as n
         from quota_counters where name = 'storage_bytes'`,
      ),
    );
    expect(row).toEqual({ bytes: await usage(member), n: ids.length });
    expect(stored(member).toSorted()).toEqual(ids.toSorted());
  });
});

describe("tenant B", () => {
  // Shows S1-126
  it("cannot see, download, confirm, change or delete A's files (attack 66)", async () => {
    const ready = (await upload(app, a, { content: "only A's" })).body;
    const pending = (
      await a.call("POST", "/files", { file_name: "a", file_size: 1, mime_type: "text/plain" })
    ).body.file;
    for (const { id } of [ready, pending]) {
      for (const [method, path, body] of [
        ["GET", "", undefined],
        ["GET", "/download", undefined],
        ["POST", "/confirm", undefined],
        ["PATCH", "", { file_name: "mine" }],
        ["DELETE", "", undefined],
      ] as const) {
        const foreign = await b.call(method, `/files/${id}${path}`, body);
        expect(foreign.status).toBe(404);
        expect(foreign).toEqual(await b.call(method, `/files/${unknownId}${path}`, body));
      }
    }
    expect((await b.call("GET", "/files?total=true")).body.total).toBe(0);
    expect((await a.call("GET", `/files/${ready.id}`)).body).toEqual(ready);
  });

  // Shows S1-126, S1-129
  it("has a part of the storage of its own, and no name in it leads out", async () => {
    const { id } = (await upload(app, a, { content: "only A's" })).body;
    await app.withTenant(b.tenant, async ({ storage }) => {
      expect(await storage.stat(id)).toBeUndefined();
      for (const name of [`../${a.tenant.id}/${id}`, "..", "a/../b", "", "/etc/passwd", "A"]) {
        await expect((async () => storage.stat(name))()).rejects.toThrow(TypeError);
      }
    });
  });
});

test("a viewer sees and downloads files, and changes none", async () => {
  const viewer = await addMember(app, a.tenant, "viewer");
  const { id } = (await upload(app, a, { content: "x" })).body;
  expect((await upload(app, viewer, { content: "x" })).status).toBe(403);
  expect((await viewer.call("DELETE", `/files/${id}`)).status).toBe(403);
  expect((await app.inject(await downloadOf(app, viewer, id))).body).toBe("x");
});
