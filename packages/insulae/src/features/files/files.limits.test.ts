import { afterAll, beforeAll, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { downloadOf, upload } from "../../testing/test-files.ts";

let app: App;
let member: TestMember;
let url: string;

beforeAll(async () => {
  app = await createTestApp({
    config: {
      rateLimits: {
        global: 1_000_000,
        plans: { free: 6 },
        account: 1_000_000,
        anonymous: 5,
        credentials: 1_000_000,
      },
    },
  });
  member = await createMember(app);
  const { body } = await upload(app, member, { content: "some text" });
  url = await downloadOf(app, member, body.id);
});
afterAll(() => app?.close());

let addresses = 0;
const statuses = async (count: number, address: string) => {
  addresses += 1;
  const seen: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const reply = await app.inject({ url: address, remoteAddress: `198.51.100.${addresses}` });
    seen.push(reply.statusCode);
  }
  return seen;
};

test("forged signed URLs are charged to the client, as a stranger's", async () => {
  const forged = `${url.slice(0, -6)}AAAAAA`;
  expect(await statuses(7, forged)).toEqual([403, 403, 403, 403, 403, 429, 429]);
});

test("a valid one is charged to its tenant's bucket for signed URLs, and to nobody else", async () => {
  const seen = await statuses(62, url);
  expect(seen.slice(0, 60)).toEqual(Array(60).fill(200));
  expect(seen.at(-1)).toBe(429);
  // Another address has the same bucket, and the tenant's users have another.
  expect(await statuses(1, url)).toEqual([429]);
  const reply = await app.inject({
    url: "/api/v1/files",
    headers: { authorization: `Bearer ${member.token}` },
  });
  expect(reply.statusCode).toBe(200);
});
