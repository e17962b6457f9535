import { Type } from "typebox";
import { describe, expect, it } from "vitest";
import { processorTime } from "../../../testing/processor-time.ts";
import { feature } from "../../feature/feature.ts";
import { echo, testServer } from "../server/test-server.ts";

const json = { "content-type": "application/json" };
const send = (payload: string, headers: Record<string, string> = json) =>
  testServer([echo]).app.inject({ method: "POST", url: "/api/v1/echo", headers, payload });

describe("a body", () => {
  it("is accepted as JSON, with any parameters of the media type", async () => {
    for (const type of [
      "application/json",
      "application/json; charset=utf-8",
      "application/json ;charset=utf-8",
      "Application/JSON",
      "application/json;",
    ]) {
      const good = await send('{"text":"x"}', { "content-type": type });
      expect([type, good.statusCode]).toEqual([type, 200]);
      const bad = await send('{"text":1}', { "content-type": type });
      expect([type, bad.statusCode]).toEqual([type, 400]);
    }
  });

  it.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/json\ttext",
    "application/json text",
    "application/jsonx",
    "application/json, text/plain",
    "x/application/json",
    "application/ json",
    "*/*",
    " ",
  ])("of the type %j is refused or validated, but never skipped", async (type) => {
    const answer = await send('{"text":"x","unknown":1}', { "content-type": type });
    expect([400, 415]).toContain(answer.statusCode);
    expect(answer.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
  });

  it.each(["text/plain", "text/plain;application/json", "application/jsonp"])(
    "of the type %j is refused for its type",
    async (type) => {
      const answer = await send('{"text":"x"}', { "content-type": type });
      expect([answer.statusCode, answer.json().code]).toEqual([415, "unsupported_media_type"]);
    },
  );

  it("that is compressed is refused", async () => {
    const answer = await send("{}", { ...json, "content-encoding": "gzip" });
    expect(answer.statusCode).toBe(415);
    expect(answer.json().detail).toBe("Send the body without Content-Encoding.");
    const xml = await send("<a/>", { "content-type": "text/xml" });
    expect(xml.json()).toMatchObject({
      title: "The body has an unsupported media type or encoding",
      detail: "Send the body as application/json.",
    });
  });

  it.each<[string, string, readonly { pointer: string; message?: string }[]]>([
    [
      "an unknown field",
      '{"text":"a","role":"owner"}',
      [{ pointer: "/body/role", message: "is not known" }],
    ],
    [
      "an unknown field further in",
      '{"text":"a","more":{"x/y":1}}',
      [{ pointer: "/body/more/x~1y" }],
    ],
    ["a missing field", "{}", [{ pointer: "/body/text", message: "is required" }]],
    ["a number as text", '{"text":"a","count":"1"}', [{ pointer: "/body/count" }]],
    ["text as a number", '{"text":1}', [{ pointer: "/body/text" }]],
    ["two faults", '{"count":"1"}', [{ pointer: "/body/text" }, { pointer: "/body/count" }]],
    [
      "a text without end",
      JSON.stringify({ text: "a".repeat(10_001) }),
      [{ pointer: "/body/text" }],
    ],
    ["a list", "[]", [{ pointer: "/body" }]],
    ["null", "null", [{ pointer: "/body" }]],
    ["nothing", "", [{ pointer: "/body" }]],
  ])("with %s is refused, with the place of the problem", async (_what, payload, errors) => {
    const answer = await send(payload);
    expect(answer.statusCode).toBe(400);
    expect(answer.json().code).toBe("validation_failed");
    expect(answer.json().errors).toEqual(errors.map((error) => expect.objectContaining(error)));
  });

  it("with thousands of problems is refused quickly and briefly", async () => {
    const fields = Array.from({ length: 15_000 }, (_, i) => `"f${i}":1`);
    let answer = await send("{}");
    const spent = await processorTime(async () => {
      answer = await send(`{${fields.join(",")}}`);
    });
    expect(spent).toBeLessThan(500);
    expect(answer.json().errors).toHaveLength(1);
    const few = await send(`{${fields.slice(0, 100).join(",")}}`);
    expect(few.json().errors).toHaveLength(20);
  });

  it.each([
    '{"a":',
    '{"__proto__":{}}',
    '{"text":"a","text":"b"}',
    '{"text":"\\u0000"}',
    "\ufeff{}",
  ])("like %j is refused as JSON", async (payload) => {
    const answer = await send(payload);
    expect([answer.statusCode, answer.json().code]).toEqual([400, "malformed_json"]);
  });

  it("larger than its route allows is refused", async () => {
    const answer = await send(`{"text":"${"a".repeat(200_000)}"}`);
    expect([answer.statusCode, answer.json().code]).toEqual([413, "body_too_large"]);
  });

  it.each([
    ["a public route", { permission: "public" }, 16_384],
    [
      "a route with the limit of credentials",
      { permission: "authenticated", limit: "credentials" },
      16_384,
    ],
    ["a public route that says more", { permission: "public", bodyLimit: 20_000 }, 20_000],
    ["any other route", { permission: "authenticated" }, 1_048_576],
  ] as const)("of %s is limited", async (_what, options, most) => {
    const any = feature("any", {
      routes: (r) => [
        r.post(
          "/any",
          {
            ...options,
            audit: { none: "a test" },
            summary: "Takes anything",
            body: Type.Array(Type.String({ maxLength: 2_000_000 })),
            response: { 204: null },
          },
          () => undefined,
        ),
      ],
    });
    const { app } = testServer([any]);
    const statuses = [];
    for (const length of [most, most + 1]) {
      const payload = JSON.stringify(["a".repeat(length - 4)]);
      const answer = await app.inject({
        method: "POST",
        url: "/api/v1/any",
        headers: json,
        payload,
      });
      statuses.push(answer.statusCode);
    }
    expect(statuses).toEqual([204, 413]);
  });
});
