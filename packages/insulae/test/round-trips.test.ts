/**
 * What an ordinary request costs PostgreSQL: one round trip, its handler's own. Counted where it is
 * sent: each round trip ends with a Sync, or is a simple Query, of the frontend/backend protocol.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { Socket } from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { feature, Type } from "../src/index.ts";
import type { Tenant } from "../src/kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../src/testing/test-people.ts";

const reading = feature("reading", {
  permissions: { "things:read": "See things" },
  routes: (r) => [
    r.get(
      "/things",
      { permission: "things:read", summary: "Things", response: Type.Array(Type.Object({})) },
      ({ db }) => db.query("select 1 as thing"),
    ),
  ],
});

let people: TestPeople;
let tenant: Tenant;
let owner: Awaited<ReturnType<TestPeople["newOwner"]>>;
let roundTrips = 0;
const write = Socket.prototype.write;

beforeAll(async () => {
  people = await openTestPeople({ features: [reading] });
  tenant = await people.newTenant();
  owner = await people.newOwner(tenant);
  // Requests are injected: whatever this process writes to a socket goes to PostgreSQL.
  vi.spyOn(Socket.prototype, "write").mockImplementation(function (this: Socket, ...args) {
    roundTrips += syncsIn(args[0]);
    return Reflect.apply(write, this, args);
  });
});
afterAll(async () => {
  vi.restoreAllMocks();
  await people?.close();
});

const sync = "S".charCodeAt(0);
const query = "Q".charCodeAt(0);

/** Names the channel on which a process notifies itself each second, whether there are requests or not. */
const heartbeat = /insulae_[0-9a-f]{16}/g;

/** How many round trips a piece of what a client sends asks for; pieces are whole messages. */
function syncsIn(sent: string | Uint8Array): number {
  const bytes = Buffer.from(sent);
  let count = -(bytes.toString("latin1").match(heartbeat)?.length ?? 0);
  for (let at = 0; at + 5 <= bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
    if (bytes[at] === sync || bytes[at] === query) count += 1;
  }
  return count;
}

type Headers = Record<string, string>;

async function byToken(): Promise<Headers> {
  return { authorization: `Bearer ${owner.token}` };
}

async function byApiKey(): Promise<Headers> {
  const body = { name: "A machine", scopes: ["things:read"] };
  const made = await people.post("/api/v1/api-keys", { token: owner.token, body });
  return { authorization: `Bearer ${made.body.key}` };
}

async function byCookie(): Promise<Headers> {
  const host = `${tenant.slug}.localhost`;
  const reply = await people.app.inject({
    method: "POST",
    url: "/api/v1/auth/login",
    headers: { host },
    payload: { email: owner.account.email, password: people.password, session: "cookie" },
  });
  const [cookie = ""] = String(reply.headers["set-cookie"]).split(";");
  return { host, cookie };
}

/**
 * Until what a sign-in sets off (a mail, an announcement that makes caches forget, the platform's audit chain
 * a second later) has been done.
 */
const untilQuiet = () =>
  expect
    .poll(
      () => {
        const sent = roundTrips;
        roundTrips = 0;
        return sent;
      },
      { interval: 1_500, timeout: 20_000 },
    )
    .toBe(0);

test.each([
  ["token", byToken],
  ["API key", byApiKey],
  ["cookie session", byCookie],
])("a request by %s is one round trip to PostgreSQL: its handler's", async (_kind, signIn) => {
  const headers = await signIn();
  const ask = async () => (await people.app.inject({ url: "/api/v1/things", headers })).statusCode;
  expect(await ask()).toBe(200);
  await untilQuiet();
  expect(await ask()).toBe(200);
  const each: number[] = [];
  for (let i = 0; i < 20; i += 1) {
    const before = roundTrips;
    expect(await ask()).toBe(200);
    each.push(roundTrips - before);
  }
  expect(each).toEqual(each.map(() => 1));
});
