import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createMember } from "../../testing/fixtures.ts";
import { createTestApp, type TestApp } from "../../testing/test-app.ts";
import { until } from "../../testing/until.ts";

let app: TestApp;
let token: string;

beforeAll(async () => {
  app = await createTestApp();
  const payload = { email: "root@example.com", password: "a-Fine-passphrase-7" };
  await app.ensureAdmin(payload);
  const reply = await app.inject({ method: "POST", url: "/api/v1/auth/login", payload });
  token = reply.json().access_token;
});
afterAll(() => app?.close());

const ask = async (query = "", by = token) => {
  const url = `/api/v1/platform/doctor${query}`;
  const reply = await app.inject({ url, headers: { authorization: `Bearer ${by}` } });
  return { status: reply.statusCode, body: reply.json() };
};
/** Asks until a diagnosis is there that satisfies the condition. */
const diagnosis = (
  what: string,
  fits: (checks: readonly { name: string; state: string }[]) => boolean,
) =>
  until(what, async () => {
    const { body } = await ask("?again=true");
    return fits(body.checks) && body;
  });

test("a diagnosis names what is in order, and what is wrong with its remedy", async () => {
  const { body } = await ask();
  expect(body.running).toBe(false);
  expect(body.checks).toContainEqual({
    name: "isolation",
    state: "ok",
    message: "1 placement looked at",
    remedy: null,
  });
  expect(body.checks.every(({ state }: { state: string }) => state === "ok")).toBe(true);

  const client = new pg.Client(app.config.databaseUrl);
  await client.connect();
  await client.query("alter table data.contacts no force row level security");
  const wrong = await diagnosis("the fault is found", (checks) =>
    checks.some(({ name, state }) => name === "isolation" && state === "failure"),
  );
  expect(wrong.checks).toContainEqual({
    name: "isolation",
    state: "failure",
    message: expect.stringContaining("contacts"),
    remedy: expect.stringContaining("undo manual changes"),
  });
  await client.query("alter table data.contacts force row level security");
  await client.end();
  await diagnosis("it is mended", (checks) => checks.every(({ state }) => state === "ok"));
});

test("only administrators of the platform may ask", async () => {
  const { token: owner } = await createMember(app, "pool");
  expect((await ask("", owner)).status).toBe(403);
});
