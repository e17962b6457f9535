import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { Type } from "typebox";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { feature } from "../../feature/feature.ts";
import { testServer } from "../server/test-server.ts";
import { bytesBody, uploadForm } from "./stream-body.ts";

const maxBytes = 100_000;

/** The bytes that handlers received, and how it ended. */
const seen = { began: 0, bytes: 0, ended: 0, failed: 0 };
beforeEach(() => void Object.assign(seen, { began: 0, bytes: 0, ended: 0, failed: 0 }));

async function count(bytes: AsyncIterable<Buffer>): Promise<number> {
  let size = 0;
  seen.began++;
  try {
    for await (const chunk of bytes) {
      size += chunk.length;
      seen.bytes += chunk.length;
    }
    seen.ended++;
    return size;
  } catch (error) {
    seen.failed++;
    throw error;
  }
}

const Fields = Type.Object({
  title: Type.Optional(Type.String({ maxLength: 10 })),
  number: Type.Optional(Type.Integer()),
  tags: Type.Optional(Type.Object({ a: Type.String() })),
});

const streams = feature("streams", {
  routes: (r) => [
    r.post(
      "/forms",
      {
        permission: "public",
        context: "core",
        audit: { none: "a test" },
        summary: "A form",
        body: uploadForm(Fields, { maxBytes }),
        response: Type.Unknown(),
      },
      ({ body }) =>
        body.receive(async ({ fields, name, type, bytes }) => ({
          fields,
          name,
          type,
          size: await count(bytes),
          length: body.length,
        })),
    ),
    r.put(
      "/bytes",
      {
        permission: "public",
        context: "core",
        audit: { none: "a test" },
        summary: "Bytes",
        body: bytesBody({ maxBytes }),
        response: Type.Unknown(),
      },
      async ({ body: { type, length, bytes } }) => ({ type, length, size: await count(bytes) }),
    ),
  ],
});

const boundary = "b0undary";
const part = (disposition: string, content: string, type?: string) =>
  `--${boundary}\r\ncontent-disposition: form-data${disposition}\r\n` +
  `${type ? `content-type: ${type}\r\n` : ""}\r\n${content}\r\n`;
const field = (name: string, text: string) => part(`; name="${name}"`, text);
const file = (content: string, name = "a.txt") =>
  part(`; name="file"; filename="${name}"`, content, "text/plain");
const end = `--${boundary}--\r\n`;
const formType = `multipart/form-data; boundary=${boundary}`;

function server() {
  const { app, lines } = testServer([streams], { requestTimeoutMs: 300 });
  const post = async (payload: string, type = formType) => {
    const reply = await app.inject({
      method: "POST",
      url: "/api/v1/forms",
      headers: { "content-type": type },
      payload,
    });
    return { status: reply.statusCode, headers: reply.headers, body: reply.json() };
  };
  return { app, lines, post };
}

describe("a form", () => {
  it("is read as a stream, with its typed fields first", async () => {
    const { post } = server();
    const payload =
      field("title", "Grüße") +
      field("number", "12") +
      field("tags", '{"a":"b"}') +
      file("x".repeat(maxBytes), "../../etc/passwd") +
      end;
    const { status, body } = await post(payload);
    expect([status, body]).toEqual([
      200,
      {
        fields: { title: "Grüße", number: 12, tags: { a: "b" } },
        name: "passwd",
        type: "text/plain",
        size: maxBytes,
        length: Buffer.byteLength(payload),
      },
    ]);
  });

  it("has its file name unescaped as browsers escape it", async () => {
    const { body } = await server().post(file("x", "a%22b%20%25%0d%0A.txt") + end);
    expect(body.name).toBe('a"b%20%25\r\n.txt');
  });

  it.each([
    ["a field that is not known", field("role", "owner") + file("x") + end, "validation_failed"],
    ["a field that is not valid", field("number", "1e3") + file("x") + end, "validation_failed"],
    ["__proto__", field("__proto__", "x") + file("x") + end, "validation_failed"],
    ["a doubled field", field("title", "a") + field("title", "b") + file("x") + end],
    ["an empty field name", field("", "a") + file("x") + end],
    ["a part without a name", part("", "a") + end],
    ["a field after the file", file("x") + field("title", "a") + end],
    ["two files", file("x") + file("y") + end],
    ["a file of another name", part('; name="photo"; filename="a.png"', "x") + end],
    ["an endless field", field("title", "a".repeat(300_000)) + file("x") + end],
    ["a hundred fields", Array.from({ length: 100 }, (_, i) => field(`f${i}`, "")).join("") + end],
    ["no file", field("title", "a") + end],
    ["nothing in it", end],
    ["no parts at all", "nothing of the kind"],
    ["no end", file("x").slice(0, -2)],
    ["half a header", `--${boundary}\r\ncontent-dispo`],
  ])("with %s is refused", async (_what, payload, code = "malformed_form") => {
    const { status, body } = await server().post(payload);
    expect([status, body.code]).toEqual([400, code]);
  });

  it("that is too large, or declared so, is aborted", async () => {
    const { post } = server();
    const { status, body } = await post(file("x".repeat(maxBytes + 1)) + end);
    expect([status, body.code]).toEqual([413, "body_too_large"]);
    expect(seen.bytes).toBeLessThanOrEqual(maxBytes);
    expect(seen).toMatchObject({ ended: 0, failed: 1 });
    const again = await post(file("x".repeat(maxBytes + 400_000)) + end);
    expect(again.status).toBe(413);
    expect(seen.failed).toBe(1);
  });

  it.each(["application/json", "multipart/form-data", "multipart/mixed; boundary=a", "text/plain"])(
    "must be a form: %s is refused",
    async (type) => {
      const { status } = await server().post("{}", type);
      expect(status).toBe(type === "multipart/form-data" ? 400 : 415);
    },
  );

  it("that breaks off ends the reading of its file, a thousand times", async () => {
    const { app, lines } = server();
    const { port } = new URL(await app.listen({ port: 0, host: "127.0.0.1" }));
    const head =
      `POST /api/v1/forms HTTP/1.1\r\nhost: a\r\ncontent-type: ${formType}\r\n` +
      `content-length: 90000\r\n\r\n${file("x".repeat(10_000)).slice(0, -2)}`;
    for (let round = 0; round < 20; round++) {
      // Four in five reach their file; the others break off before.
      const begun = seen.began + 40;
      await Promise.all(
        Array.from({ length: 50 }, async (_, i) => {
          const socket = connect(Number(port), "127.0.0.1");
          socket.on("error", () => {});
          socket.write(head.slice(0, i % 5 === 0 ? 150 + i : undefined));
          if (i % 5 !== 0) {
            await vi.waitFor(() => expect(seen.began).toBeGreaterThanOrEqual(begun), 10_000);
          }
          socket.resetAndDestroy();
        }),
      );
    }
    expect(seen.began).toBeGreaterThanOrEqual(800);
    await vi.waitFor(() => expect(seen.failed).toBe(seen.began), 10_000);
    expect(seen.ended).toBe(0);
    const connections = () =>
      new Promise((resolve) => app.server.getConnections((_, n) => resolve(n)));
    await vi.waitFor(async () => expect(await connections()).toBe(0), 10_000);
    expect(lines.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  }, 30_000);

  it("may take longer to arrive than other requests", async () => {
    const { app } = server();
    const { port } = new URL(await app.listen({ port: 0, host: "127.0.0.1" }));
    const slow = request({
      port,
      method: "POST",
      path: "/api/v1/forms",
      headers: { "content-type": formType },
    });
    const answered = once(slow, "response");
    slow.write(file("x").slice(0, -2));
    const other = connect(Number(port), "127.0.0.1").resume();
    other.write(
      "PUT /api/v1/none HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
    );
    await once(other, "close");
    slow.end(`\r\n${end}`);
    expect((await answered)[0].statusCode).toBe(200);
  });

  it("that is refused early closes the connection", async () => {
    const { app } = server();
    const { port } = new URL(await app.listen({ port: 0, host: "127.0.0.1" }));
    const socket = connect(Number(port), "127.0.0.1");
    let answer = "";
    socket.on("data", (data) => {
      answer += String(data);
    });
    socket.write(
      `POST /api/v1/forms HTTP/1.1\r\nhost: a\r\ncontent-type: ${formType}\r\n` +
        `transfer-encoding: chunked\r\n\r\n`,
    );
    const refused = field("role", "owner") + file("x");
    socket.write(`${refused.length.toString(16)}\r\n${refused}\r\n`);
    await once(socket, "close");
    expect(answer).toMatch(/^HTTP\/1.1 400 .*connection: close/is);
    expect(answer).toContain("validation_failed");
  });
});

describe("bytes", () => {
  const put = async (payload: Buffer | string, type?: string, more: object = {}) => {
    const { app } = server();
    const reply = await app.inject({
      method: "PUT",
      url: "/api/v1/bytes",
      headers: { ...(type && { "content-type": type }), ...more },
      payload,
    });
    return { status: reply.statusCode, body: reply.json() };
  };

  it("of any type are streamed, JSON too", async () => {
    for (const type of ["image/png", "application/json", undefined]) {
      const { status, body } = await put("{not json", type);
      expect([status, body]).toEqual([200, { type: type ?? "", length: 9, size: 9 }]);
    }
  });

  it("end at the maximum, whatever the request declares", async () => {
    expect((await put(Buffer.alloc(maxBytes + 1))).status).toBe(413);
    expect(seen.bytes).toBe(0);
    const { app } = server();
    const { port } = new URL(await app.listen({ port: 0, host: "127.0.0.1" }));
    const asked = request({ port, method: "PUT", path: "/api/v1/bytes" });
    asked.on("error", () => {});
    const answered = once(asked, "response");
    asked.write(Buffer.alloc(maxBytes));
    asked.write("x");
    expect((await answered)[0].statusCode).toBe(413);
    expect(seen).toMatchObject({ bytes: maxBytes, failed: 1, ended: 0 });
  });

  it("that are compressed are refused, because their real size is unknown", async () => {
    expect((await put("x", "text/plain", { "content-encoding": "gzip" })).status).toBe(415);
  });
});

it("the reference names the body's type, its fields and the file", async () => {
  const { app } = server();
  const { paths } = (await app.inject("/api-docs/openapi.json")).json();
  const { content } = paths["/api/v1/forms"].post.requestBody;
  expect(Object.keys(content)).toEqual(["multipart/form-data"]);
  const { properties, required } = content["multipart/form-data"].schema;
  expect(Object.keys(properties)).toEqual(["title", "number", "tags", "file"]);
  expect(required).toEqual(["file"]);
  expect(Object.keys(paths["/api/v1/bytes"].put.requestBody.content)).toEqual([
    "application/octet-stream",
  ]);
});
