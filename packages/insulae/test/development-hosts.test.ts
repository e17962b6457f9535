/** In development much is open to anybody, so the server answers only for hosts that it knows. */
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { openTestPeople, type TestPeople } from "../src/testing/test-people.ts";

let people: TestPeople;
let port: number;

beforeAll(async () => {
  people = await openTestPeople({
    config: { baseDomain: "insulae.test", baseUrl: "http://api.example.org:8000" },
  });
  await people.app.tenants.create({ key: "acme", name: "Acme", hosts: ["shop.acme.example"] });
  await people.app.hosts.register("nobodys.example");
  port = Number(new URL(await people.app.listen({ port: 0 })).port);
});

afterAll(() => people?.close());

const ask = (host: string, method: "GET" | "POST", url: string, payload?: object) =>
  people.app.inject({ method, url, headers: { host }, ...(payload && { payload }) });

const open: readonly (readonly ["GET" | "POST", string, object | undefined])[] = [
  ["GET", "/api/v1/dev/mails", undefined],
  ["GET", "/api/v1/dev/messages", undefined],
  ["GET", "/metrics", undefined],
  ["POST", "/api/v1/tenants", { key: "theirs", name: "Theirs" }],
  ["POST", "/api/v1/auth/password-reset-request", { email: "admin@localhost.test" }],
  ["POST", "/api/v1/auth/register", { email: "a@example.org", password: "a-Fine-passphrase-7" }],
  ["GET", "/api/v1/users", undefined],
];

describe.each([
  "evil.example:8000",
  "evil.example",
  "localhost.evil.example",
  "evillocalhost",
  "evil-insulae.test",
  "127.0.0.1.nip.example",
])("a page whose host is %s", (host) => {
  test("is refused a WebSocket", async () => {
    const client = new WebSocket(`ws://localhost:${port}/api/ws/logs`, { headers: { host } });
    client.on("error", () => {});
    const [, response] = await once(client, "unexpected-response");
    client.terminate();
    expect(response.statusCode).toBe(421);
  });

  test.each(open)("is refused: %s %s", async (method, url, body) => {
    const reply = await ask(host, method, url, body);
    expect(reply.json()).toMatchObject({ status: 421, code: "host_not_allowed" });
    expect(reply.json().detail).toContain("PUBLIC_URL");
  });
});

test.each([
  "localhost:8000",
  "acme.localhost",
  "insulae.test",
  "acme.insulae.test:8000",
  "api.example.org:8000",
  "shop.acme.example",
  "nobodys.example",
  "127.0.0.1:8000",
  "192.168.1.7",
  "[::1]:8000",
])("%s is answered", async (host) => {
  const reply = await ask(host, "GET", "/api/v1/dev/mails");
  expect(reply.statusCode, reply.body).toBe(200);
});

test("in production it is the proxy's matter, and nothing is open", async () => {
  const node = await people.openNode({ env: "production" });
  try {
    const headers = { host: "anything.example" };
    const reply = await node.inject({ url: "/api/v1/users", headers });
    expect(reply.statusCode).toBe(401);
  } finally {
    await node.close();
  }
});
