/** What leaves, and what doesn't: a real mail server, and a push service. */
import { createECDH, randomBytes, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import pg from "pg";
import { SMTPServer } from "smtp-server";
import { afterAll, beforeAll, expect, it } from "vitest";
import { addMember } from "../../testing/fixtures.ts";
import { httpMisdeeds, openHostilePeer } from "../../testing/hostile-peer.ts";
import type { TestApp as App } from "../../testing/test-app.ts";
import { createTestApp } from "../../testing/test-app.ts";
import { newSenders, settled } from "./notifications-fixture.ts";

const received: string[] = [];
const smtp = new SMTPServer({
  authOptional: true,
  hideSTARTTLS: true,
  disableReverseLookup: true,
  onRcptTo({ address }, _session, done) {
    if (!address.startsWith("nobody")) return done();
    return done(Object.assign(new Error("5.1.1 No such user"), { responseCode: 550 }));
  },
  onData(stream, { envelope }, done) {
    stream.resume().on("end", () => {
      received.push(...envelope.rcptTo.map(({ address }) => address));
      done();
    });
  },
});
const pushes: string[] = [];
const service = createServer((request, response) => {
  pushes.push(request.url ?? "");
  request.resume().on("end", () => response.writeHead(request.url === "/gone" ? 410 : 201).end());
});

let app: App;
let database: pg.Client;
let acme: Awaited<ReturnType<typeof newSenders>>;
let origin: string;
beforeAll(async () => {
  await new Promise<void>((listening) => smtp.listen(0, "127.0.0.1", listening));
  await new Promise<void>((listening) => service.listen(0, "127.0.0.1", listening));
  const { port } = smtp.server.address() as AddressInfo; // it listens on a port
  origin = `http://127.0.0.1:${(service.address() as AddressInfo).port}`; // as above
  app = await createTestApp({
    features: [],
    config: {
      mail: "smtp",
      smtp: { host: "127.0.0.1", port, tls: "none", auth: undefined },
      push: "send",
    },
  });
  acme = await newSenders(app);
  database = new pg.Client({ connectionString: app.config.databaseUrl });
  await database.connect();
}, 60_000);
afterAll(async () => {
  await database?.end();
  await app?.close();
  await new Promise<void>((closed) => smtp.close(() => closed()));
  service.closeAllConnections();
  await new Promise((closed) => service.close(closed));
});

const mail = async (recipient: string): Promise<string> =>
  (
    await acme.admin.call("POST", "/notifications/email", {
      ...{ recipient, subject: "Hi", body: "x" },
    })
  ).body.message_id;

it("an address of which the server says that nobody is there is not written to again", async () => {
  const to = `nobody.${randomUUID()}@example.org`;
  const failed = await settled(acme.admin, await mail(to), "failed");
  expect(failed.error_message).toMatch(/5\.1\.1/);
  const { body } = await acme.admin.call("GET", `/notifications/suppressions?recipient=${to}`);
  expect(body.items).toMatchObject([{ type: "email", reason: "bounced" }]);
  await settled(acme.admin, await mail(to), "suppressed");
});

it("one that the server took and that could not be noted is sent once more, not lost", async () => {
  const to = `${randomUUID()}@example.org`;
  // The process is gone, as far as the database can tell: it can't say that it was sent.
  const { schema } = acme.tenant.placement;
  await database.query(`
    create function lose_note() returns trigger language plpgsql as $$
    begin
      if new.status = 'sent' then raise exception 'the connection is gone'; end if;
      return new;
    end $$;
    create trigger lose_note before update on ${schema}.notifications for each row execute function lose_note()`);
  const id = await mail(to);
  const arrived = () => received.filter((address) => address === to).length;
  const waiting = async () => {
    const { rows } = await database.query(
      "select 1 from control.jobs where data ->> 'notification_id' = $1 and state = 'held'",
      [id],
    );
    return rows.length;
  };
  await expect.poll(waiting, { timeout: 20_000 }).toBe(1);
  expect(arrived()).toBe(1);
  await database.query(`drop trigger lose_note on ${schema}.notifications`);
  // As if the time had come.
  await database.query(
    "update control.jobs set due_at = now() where data ->> 'notification_id' = $1",
    [id],
  );
  await mail(`${randomUUID()}@example.org`); // whatever is sent wakes the workers
  await settled(acme.admin, id);
  expect(arrived()).toBe(2);
});

it("a push reaches each of a user's browsers once, and forgets those that are gone or private", async () => {
  const key = () => {
    const curve = createECDH("prime256v1");
    curve.generateKeys();
    return curve.getPublicKey("base64url");
  };
  const path = "/notifications/push/subscriptions";
  const add = (endpoint: string) =>
    acme.user.call("POST", path, {
      ...{ endpoint, keys: { p256dh: key(), auth: randomBytes(16).toString("base64url") } },
    });
  const places = [`${origin}/one`, `${origin}/two`, `${origin}/gone`, "https://10.0.0.1/x"];
  for (const place of places) expect((await add(place)).status).toBe(201);
  expect((await add("ftp://example.org/")).status).toBe(400);
  const { body } = await acme.admin.call("POST", "/notifications/push", {
    ...{ user_id: acme.user.userId, subject: "Hi", body: "You" },
  });
  await settled(acme.admin, body.message_id);
  expect(pushes.toSorted()).toEqual(["/gone", "/one", "/two"]);
  const { body: left } = await acme.user.call("GET", path);
  const endpoints = left.items.map(({ endpoint }: { endpoint: string }) => endpoint);
  expect(endpoints.toSorted()).toEqual(places.slice(0, 2).toSorted());

  const [first] = left.items;
  expect((await acme.admin.call("DELETE", `${path}/${first.id}`)).status).toBe(404);
  expect((await acme.user.call("DELETE", `${path}/${first.id}`)).status).toBe(204);
  const { body: none } = await acme.admin.call("POST", "/notifications/push", {
    ...{ user_id: acme.admin.userId, subject: "Hi", body: "You" },
  });
  await settled(acme.admin, none.message_id, "failed");
});

it("a push service that answers with no status holds up nobody's other browsers, and the history says why", async () => {
  const hostile = await openHostilePeer(httpMisdeeds["answers 101"] ?? (() => {}));
  const { call, userId } = await addMember(app, acme.tenant, "user");
  for (const endpoint of [`${hostile.url}/push`, `${origin}/three`]) {
    const curve = createECDH("prime256v1");
    curve.generateKeys();
    const keys = {
      p256dh: curve.getPublicKey("base64url"),
      auth: randomBytes(16).toString("base64url"),
    };
    const added = await call("POST", "/notifications/push/subscriptions", { endpoint, keys });
    expect(added.status).toBe(201);
  }
  const { body: sent } = await acme.admin.call("POST", "/notifications/push", {
    ...{ user_id: userId, subject: "Hi", body: "You" },
  });
  const shown = async () =>
    (await acme.admin.call("GET", `/notifications/history/${sent.message_id}`)).body;
  await expect.poll(async () => (await shown()).attempts, { timeout: 20_000 }).toBe(1);
  expect(await shown()).toMatchObject({
    status: "queued",
    error_message: "the push service's response was not valid HTTP",
  });
  expect(pushes.filter((path) => path === "/three")).toHaveLength(1);
});
