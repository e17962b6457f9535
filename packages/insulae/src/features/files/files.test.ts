import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { addMember, createMember, type TestMember, unknownId } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { downloadOf, png, send, storedOf, upload, usageOf } from "../../testing/test-files.ts";

let app: App;
let a: TestMember;
let b: TestMember;

beforeAll(async () => {
  app = await createTestApp();
  [a, b] = [await createMember(app), await createMember(app, "schema")];
});
afterAll(() => app?.close());

const sha256 = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex");

const stored = (member: TestMember) => storedOf(app, member);
const usage = (member: TestMember) => usageOf(app, member);
const limited = async (bytes: number): Promise<TestMember> => {
  const member = await createMember(app);
  await app.tenants.update(member.tenant.id, { settings: { limits: { storage_bytes: bytes } } });
  return member;
};

describe.each(["pool", "schema", "database"] as const)(
  "in a tenant of isolation %s",
  (isolation) => {
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

describe("a file's size", () => {
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

test.each([
  ['{"a":{"b":12345678901234567890}}', "inexact_number", "/body/metadata/a/b"],
  ['{"a":', "malformed_json", "/body/metadata"],
])("an error in a form's JSON names its field: %s", async (metadata, code, pointer) => {
  const { status, body } = await upload(app, a, { content: "x", fields: { metadata } });
  expect([status, body.code, body.errors]).toEqual([
    400,
    code,
    [expect.objectContaining({ pointer })],
  ]);
});
