/** What a client may send means the same wherever it is sent, and is kept or refused, never changed. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../src/app/app-api.ts";
import { dialects } from "../src/dialects/index.ts";
import { coreFeatures, standardFeatures } from "../src/features/index.ts";
import { openApiDocument } from "../src/kernel/http/api/openapi.ts";
import { addMember, createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";

let app: App;
let owner: TestMember;

beforeAll(async () => {
  app = await createTestApp();
  owner = await addMember(app, (await createMember(app)).tenant, "owner");
});
afterAll(() => app?.close());

describe("a time", () => {
  const bad = [
    "2026-01-01T00:00:00+16:00",
    "2099-12-31T23:59:59+01",
    "2026-06-30T23:59:60Z",
    "2026-01-01T24:00:00Z",
    "0000-01-01T00:00:00Z",
    "infinity",
  ];

  it.each([
    "/audit?from=",
    "/audit?to=",
    "/notifications/history?from=",
    "/notifications/history?until=",
  ])("in %s is RFC 3339's, or refused by its field", async (path) => {
    for (const time of bad) {
      const { status, body } = await owner.call("GET", `${path}${encodeURIComponent(time)}`);
      expect([time, status]).toEqual([time, 400]);
      expect(body.errors).toEqual([
        expect.objectContaining({ pointer: expect.stringMatching(/^\/query\//) }),
      ]);
    }
    for (const time of [
      "0001-01-01T00:00:00Z",
      "9999-12-31T23:59:59.999999Z",
      "2026-01-01t00:00:00+15:59",
    ]) {
      const { status, text } = await owner.call("GET", `${path}${encodeURIComponent(time)}`);
      expect(status, text).toBe(200);
    }
  });

  it("in a body is, too", async () => {
    for (const expires_at of bad) {
      const { status, body } = await owner.call("POST", "/api-keys", {
        name: "k",
        expires_at,
        scopes: ["contacts:read"],
      });
      expect([expires_at, status]).toEqual([expires_at, 400]);
      expect(body.errors).toContainEqual(expect.objectContaining({ pointer: "/body/expires_at" }));
    }
  });
});

describe("an e-mail address", () => {
  it.each([
    ["jörg@exämple.de", 201],
    ["Ada@Example.ORG", 201],
    ["用户@例子.广告", 201],
    ["a@b@c.de", 400],
    ['"a b"@c.de', 400],
    ["a@-b.de", 400],
    ["a@127.0.0.1", 400],
    [`${"a".repeat(65)}@b.de`, 400],
    [`${"ä".repeat(40)}@b.de`, 400],
  ])(
    "%s is one for users, contacts and invitations alike, or none: %i",
    async (email, expected) => {
      const sent = [
        await owner.call("POST", "/contacts", { name: "n", email }),
        await owner.call("POST", "/users", {
          email,
          role: "viewer",
          password: "correct horse 17 battery",
        }),
      ];
      expect(sent.map(({ status }) => status)).toEqual(sent.map(() => expected));
    },
  );
});

describe("a number", () => {
  it.each(["9007199254740993", "1e400", "0.1234567890123456789"])(
    "of %s in free JSON is refused by its place",
    async (number) => {
      const answer = await app.inject({
        method: "PATCH",
        url: `/api/v1/tenants/${owner.tenant.id}`,
        headers: { authorization: `Bearer ${owner.token}`, "content-type": "application/json" },
        payload: `{"settings":{"custom":{"n":${number}}}}`,
      });
      const { status, body } = { status: answer.statusCode, body: answer.json() };
      expect([status, body.code]).toEqual([400, "inexact_number"]);
      expect(body.errors).toEqual([
        expect.objectContaining({ pointer: "/body/settings/custom/n" }),
      ]);
    },
  );
});

describe("a length", () => {
  const random = randomBytes(3_000).toString("base64").slice(0, 3_000);

  it("that an index has no room for is the client's mistake", async () => {
    for (const [path, body] of [
      ["/notifications/push", { recipient: random, subject: "s", body: "b" }],
      ["/notifications/suppressions", { type: "push", recipient: random }],
      [
        "/notifications/suppressions",
        {
          type: "push",
          recipient: [...random.slice(0, 2_000)]
            .map((c) => String.fromCodePoint(0x1f300 + c.charCodeAt(0) * 7))
            .join(""),
        },
      ],
    ] as const) {
      const { status, text } = await owner.call("POST", path, body);
      expect(status, text).toBe(400);
    }
    const fits = await owner.call("POST", "/notifications/push", {
      recipient: random.slice(0, 2_000),
      subject: "s",
      body: "b",
    });
    expect(fits.status, fits.text).toBe(201);
  });

  it("is of characters, of which an emoji is one", async () => {
    const send = (subject: string) =>
      owner.call("POST", "/notifications/email", {
        recipient: "a@example.org",
        subject,
        body: "b",
      });
    expect((await send("\u{1f600}".repeat(255))).status).toBe(201);
    expect((await send("\u{1f600}".repeat(256))).status).toBe(400);
  });
});

it("patterns of the OpenAPI document are known to every reader of one", () => {
  const features = [...coreFeatures, ...standardFeatures, ...dialects];
  const text = JSON.stringify(
    openApiDocument({ features, version: "1", baseUrl: "http://localhost" }),
  );
  expect(text).not.toMatch(/"pattern":"[^"]*\\\\[pP]\{/);
});
