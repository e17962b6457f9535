import { createHmac, randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { App } from "../../app/app-api.ts";
import { createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { downloadOf, send, upload } from "../../testing/test-files.ts";
import { createGrants } from "./grants.ts";

let app: App;
let a: TestMember;
beforeAll(async () => {
  app = await createTestApp();
  a = await createMember(app);
});
afterAll(() => app?.close());

const content = "0123456789";
const file = async () => (await upload(app, a, { content })).body.id;

describe("a signed URL", () => {
  it("is necessary and sufficient (attack 71)", async () => {
    const url = await downloadOf(app, a, await file());
    expect((await app.inject(url)).body).toBe(content);
    const [claims, signature = ""] = url.split(".");
    for (const forged of [
      url.slice(0, url.indexOf("=") + 1),
      `${claims}.`,
      `${claims}.${signature.slice(0, -4)}`,
      `${claims}.${Buffer.from(signature, "base64url").reverse().toString("base64url")}`,
      `${url}.x`,
      `/api/v1/storage?grant=e30.${createHmac("sha256", "").update("e30").digest("base64url")}`,
    ]) {
      const { statusCode, body } = await app.inject(forged);
      expect([forged, statusCode]).toEqual([forged, 403]);
      expect(body).not.toContain(content);
    }
    expect((await app.inject("/api/v1/storage")).statusCode).toBe(400);
    const anonymous = await app.inject({
      url: `/api/v1/files/${await file()}/download`,
      headers: { "x-tenant": a.tenant.key },
    });
    expect(anonymous.statusCode).toBe(401);
  });

  it("states what it was signed for, and can't be altered", async () => {
    const mine = new URLSearchParams((await downloadOf(app, a, await file())).split("?")[1]);
    const [claims = "", signature] = (mine.get("grant") ?? "").split(".");
    const said = JSON.parse(Buffer.from(claims, "base64url").toString());
    const b = await createMember(app);
    const { id } = (await upload(app, b, { content: "B's" })).body;
    for (const change of [
      { key: `${b.tenant.id}/${id}` },
      { expires: said.expires + 1 },
      { type: "text/html" },
      { disposition: "inline" },
      { method: "PUT", size: 10 },
    ]) {
      const forged = Buffer.from(JSON.stringify({ ...said, ...change })).toString("base64url");
      const url = `/api/v1/storage?grant=${forged}.${signature}`;
      expect((await app.inject(url)).statusCode).toBe(403);
      const put = await app.inject({ method: "PUT", url, payload: content });
      expect(put.statusCode).toBe(403);
    }
  });

  it("is valid for at most an hour, and unchanged for a quarter of one", async () => {
    const id = await file();
    vi.useFakeTimers({ toFake: ["Date"], now: Math.ceil(Date.now() / 900_000) * 900_000 + 1_000 });
    try {
      const url = await downloadOf(app, a, id);
      vi.setSystemTime(Date.now() + 890_000);
      expect(await downloadOf(app, a, id)).toBe(url);
      const { headers } = await app.inject(url);
      expect(headers["cache-control"]).toBe("private, max-age=2709");
      vi.setSystemTime(Date.now() + 2_700_000);
      expect((await app.inject(url)).statusCode).toBe(200);
      vi.setSystemTime(Date.now() + 10_000);
      expect((await app.inject(url)).statusCode).toBe(403);
    } finally {
      vi.useRealTimers();
    }
  });

  it("of another installation is invalid", () => {
    const [ours, theirs] = [createGrants(randomBytes(32)), createGrants(randomBytes(32))];
    const grant = {
      method: "GET",
      key: "a/b",
      expires: Date.now(),
      type: "text/plain",
      disposition: "",
    } as const;
    expect(ours.read(ours.sign(grant), "GET")).toEqual(grant);
    expect(ours.read(ours.sign(grant), "PUT")).toBeUndefined();
    expect(ours.read(theirs.sign(grant), "GET")).toBeUndefined();
  });

  it.each([
    ["bytes=2-4", 206, "234", "bytes 2-4/10"],
    ["bytes=7-", 206, "789", "bytes 7-9/10"],
    ["bytes=-2", 206, "89", "bytes 8-9/10"],
    ["bytes=-99", 206, content, "bytes 0-9/10"],
    ["bytes=8-99", 206, "89", "bytes 8-9/10"],
    ["bytes=10-", 416, undefined, "bytes */10"],
    ["bytes=-0", 416, undefined, "bytes */10"],
    ["bytes=4-2", 200, content, undefined],
    ["bytes=0-1,4-5", 200, content, undefined],
    ["lines=1-2", 200, content, undefined],
    ["bytes=-", 200, content, undefined],
    ["Bytes=2-4", 206, "234", "bytes 2-4/10"],
    [`bytes=${"9".repeat(400)}-`, 416, undefined, "bytes */10"],
    [`bytes=0-${"9".repeat(400)}`, 206, content, "bytes 0-9/10"],
  ])("returns the part %s of a file", async (range, status, body, contentRange) => {
    const url = await downloadOf(app, a, await file());
    const reply = await app.inject({ url, headers: { range } });
    expect(reply.statusCode).toBe(status);
    if (body !== undefined) expect(reply.body).toBe(body);
    expect(reply.headers["content-range"]).toBe(contentRange);
  });

  it("returns a part only of the requested version (RFC 9110, section 13.1.5)", async () => {
    const url = await downloadOf(app, a, await file());
    const range = "bytes=2-4";
    const etag = String((await app.inject(url)).headers.etag);
    expect(etag).toMatch(/^"[^"]+"$/);
    for (const [ifRange, status, body] of [
      [etag, 206, "234"],
      [`W/${etag}`, 200, content],
      ['"another"', 200, content],
      [new Date(Date.now() + 60_000).toUTCString(), 200, content],
      ["*", 200, content],
    ] as const) {
      const reply = await app.inject({ url, headers: { range, "if-range": ifRange } });
      expect([ifRange, reply.statusCode, reply.body]).toEqual([ifRange, status, body]);
      expect(reply.headers.etag).toBe(etag);
    }
    const unsatisfiable = { range: "bytes=10-", "if-range": '"another"' };
    expect((await app.inject({ url, headers: unsatisfiable })).statusCode).toBe(200);
  });

  it("returns no body to HEAD, whatever the range, nor to a client that has the file", async () => {
    const url = await downloadOf(app, a, await file());
    const head = await app.inject({ method: "HEAD", url, headers: { range: "bytes=2-4" } });
    expect([head.statusCode, head.body]).toEqual([200, ""]);
    expect(head.headers).toMatchObject({ "content-length": "10", "accept-ranges": "bytes" });
    expect(head.headers["content-range"]).toBeUndefined();
    const far = await app.inject({ method: "HEAD", url, headers: { range: "bytes=99-" } });
    expect(far.statusCode).toBe(200);

    const etag = String(head.headers.etag);
    const had = await app.inject({ url, headers: { "if-none-match": etag, range: "bytes=2-4" } });
    expect([had.statusCode, had.body, had.headers.etag]).toEqual([304, "", etag]);
    const other = await app.inject({ url, headers: { "if-match": '"another"' } });
    expect(other.statusCode).toBe(412);
  });
});

describe("a signed request for an upload (attack 65)", () => {
  const ask = async (size = 4, type = "text/plain") => {
    const body = { file_name: "a", file_size: size, mime_type: type };
    return (await a.call("POST", "/files", body)).body;
  };
  const storedSize = ({ file }: { file: { id: string } }) =>
    app.withTenant(
      a.tenant,
      async ({ storage }) => (await storage.stat(`incoming/${file.id}`))?.size,
    );

  let address: Promise<string> | undefined;
  /** Its URL on a port. */
  const hereOf = async ({ upload: { url } }: { upload: { url: string } }) => {
    address ??= app.listen({ port: 0, host: "127.0.0.1" });
    const { pathname, search } = new URL(url);
    return new URL(pathname + search, await address);
  };

  it("accepts exactly what it was signed for", async () => {
    const asked = await ask();
    const { url, headers } = asked.upload;
    for (const [what, payload, more] of [
      ["larger", "more than four", {}],
      ["smaller", "few", {}],
      ["of another type", "four", { "content-type": "text/html" }],
      ["packed", "four", { "content-encoding": "gzip" }],
    ] as const) {
      const status = await send(app, { url, headers: { ...headers, ...more } }, payload);
      expect([what, status >= 400 && status < 500]).toEqual([what, true]);
      expect(await storedSize(asked)).toBeUndefined();
    }
    // Without declaring its length.
    expect(await send(app, asked.upload, Readable.from([Buffer.from("few")]))).toBe(403);
    expect(await storedSize(asked)).toBeUndefined();
    expect(await send(app, asked.upload, "four")).toBe(204);
    expect(await storedSize(asked)).toBe(4);
  });

  it("ends at its size, whatever the request declares (attack 68)", async () => {
    const asked = await ask(4);
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent++;
        controller.enqueue(Buffer.alloc(65_536, "x"));
        if (sent === 5_000) controller.close();
      },
    });
    const reply = await fetch(await hereOf(asked), {
      method: "PUT",
      headers: { "content-type": "text/plain" },
      body: endless,
      duplex: "half",
    }).then(
      ({ status }) => status,
      () => "closed",
    );
    expect([413, "closed"]).toContain(reply);
    expect(sent).toBeLessThan(1_000);
    expect(await storedSize(asked)).toBeUndefined();
  });

  it("is valid while its file is expected", async () => {
    const path = ({ file }: { file: { id: string } }) => `/files/${file.id}`;
    const deleted = await ask();
    await a.call("DELETE", path(deleted));
    const confirmed = await ask();
    await send(app, confirmed.upload, "four");
    await a.call("POST", `${path(confirmed)}/confirm`);
    const refused = await ask();
    await send(app, refused.upload, "fo\0r");
    expect((await a.call("POST", `${path(refused)}/confirm`)).status).toBe(415);
    for (const asked of [deleted, confirmed, refused]) {
      expect(await send(app, asked.upload, "four")).toBe(403);
      expect(await storedSize(asked)).toBeUndefined();
    }
  });

  it("allows one upload at a time", async () => {
    const asked = await ask(200_000);
    const here = await hereOf(asked);
    let second: number | undefined;
    async function* bytes() {
      yield Buffer.alloc(100_000, "x");
      await vi.waitFor(() =>
        expect(readdirSync(join(app.config.dataDir, "files", "unfinished"))).toHaveLength(1),
      );
      second = await send(app, asked.upload, Buffer.alloc(200_000, "y"));
      yield Buffer.alloc(100_000, "x");
    }
    const { status } = await fetch(here, {
      method: "PUT",
      headers: asked.upload.headers,
      body: ReadableStream.from(bytes()),
      duplex: "half",
    });
    expect([second, status]).toEqual([409, 204]);
    expect(await send(app, asked.upload, Buffer.alloc(200_000, "y"))).toBe(204);
  });

  it("is aborted when its file is deleted", async () => {
    const asked = await ask(200_000);
    async function* bytes() {
      yield Buffer.alloc(100_000, "x");
      await a.call("DELETE", `/files/${asked.file.id}`);
      yield Buffer.alloc(100_000, "x");
    }
    const { status } = await fetch(await hereOf(asked), {
      method: "PUT",
      headers: asked.upload.headers,
      body: ReadableStream.from(bytes()),
      duplex: "half",
    });
    expect(status).toBe(403);
    expect(await storedSize(asked)).toBeUndefined();
    expect(readdirSync(join(app.config.dataDir, "files", "unfinished"))).toEqual([]);
  });

  it("is valid for a quarter of an hour", async () => {
    const { upload: signed } = await ask();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 901_000 });
    try {
      expect(await send(app, signed, "four")).toBe(403);
    } finally {
      vi.useRealTimers();
    }
  });
});

it("an object that was replaced meanwhile is not copied", () =>
  app.withTenant(a.tenant, async ({ storage }) => {
    const put = (text: string) =>
      storage.put("incoming/one", Readable.from([Buffer.from(text)]), "text/plain");
    await put("good");
    const { tag = "" } = (await storage.stat("incoming/one")) ?? {};
    await put("evil");
    expect(await storage.copy("incoming/one", "one", tag)).toBeUndefined();
    expect(await storage.stat("one")).toBeUndefined();
    await storage.delete("incoming/one");
    expect(await storage.copy("incoming/one", "one", tag)).toBeUndefined();
  }));

it("downloads lead to the CDN, if configured, and can be cached by it", async () => {
  const behind = await createTestApp({ config: { cdnBaseUrl: "https://cdn.example.com/f" } });
  try {
    const member = await createMember(behind);
    const { id } = (await upload(behind, member, { content })).body;
    const { headers } = await behind.inject({
      url: `/api/v1/files/${id}/download`,
      headers: { authorization: `Bearer ${member.token}` },
    });
    const url = new URL(String(headers.location));
    expect([url.origin, url.pathname]).toEqual(["https://cdn.example.com", "/f/api/v1/storage"]);
    const fetched = await behind.inject(url.pathname.slice(2) + url.search);
    expect([fetched.body, fetched.headers["cache-control"]]).toEqual([
      content,
      expect.stringMatching(/^public, max-age=\d+$/),
    ]);
  } finally {
    await behind.close();
  }
});
