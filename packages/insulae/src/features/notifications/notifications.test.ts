import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../../app/app-api.ts";
import { unknownId } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/test-app.ts";
import { capturedFor, newSenders, settled } from "./notifications-fixture.ts";

let app: App;
let acme: Awaited<ReturnType<typeof newSenders>>;
beforeAll(async () => {
  // One job at a time: what goes first is done first.
  app = await createTestApp({ features: [], config: { jobsConcurrency: 1 } });
  acme = await newSenders(app);
  await acme.admin.call("POST", "/notifications/templates", {
    ...{ name: "hello", type: "email", subject: "Hello {{ name }}", body: "Dear {{ name }}" },
    variables: { name: {} },
  });
}, 60_000);
afterAll(() => app?.close());

const newAddress = () => `${randomUUID()}@example.org`;
const send = (body: object, channel = "email", by = acme.admin) =>
  by.call("POST", `/notifications/${channel}`, body);

describe("a notification", () => {
  it("by e-mail is written from a template, sent, and in the history without what it said", async () => {
    const to = newAddress();
    const { status, body } = await send({
      ...{ recipient: to.toUpperCase(), template_name: "hello" },
      ...{ template_vars: { name: "{{ 7 | times: 7 }} <b>" }, priority: "high" },
    });
    expect([status, body]).toMatchObject([201, { status: "queued" }]);
    const sent = await settled(acme.admin, body.message_id);
    expect(sent).toMatchObject({
      ...{ type: "email", recipient: to, template_name: "hello", priority: "high", attempts: 1 },
      ...{ subject: "Hello {{ 7 | times: 7 }} <b>", error_message: null, user_id: null },
    });
    const [mail] = await capturedFor(app, to);
    expect(mail).toMatchObject({
      ...{ id: body.message_id, tenant_id: acme.tenant.id, subject: sent.subject },
    });
    expect(mail.html).toContain("<p>Dear {{ 7 | times: 7 }} &lt;b&gt;</p>");
    const rows = await app.withTenant(acme.tenant, ({ db }) =>
      db.query("select content from notifications where id = $1", [body.message_id]),
    );
    expect(rows).toEqual([{ content: null }]);
  });

  it("is suppressed, and found, however its recipient is written", async () => {
    const someUser = "019c2f6e-8d5c-7c39-9c0f-3d8f0c1f7a11";
    const find = async (recipient: string) => {
      const query = new URLSearchParams({ recipient });
      const found = await acme.admin.call("GET", `/notifications/history?${query}`);
      return found.body.items.length;
    };
    for (const [type, given, other, stored] of [
      ["sms", "+41 79 765 43 21", "+41 (79) 765-43-21", "+41797654321"],
      ["push", "DeviceTOKEN:abcDEF", "DeviceTOKEN:abcDEF", "DeviceTOKEN:abcDEF"],
      ["push", someUser.toUpperCase(), someUser, someUser],
      ["email", "Ada@Exämple.org", " ADA@xn--exmple-cua.org", "ada@xn--exmple-cua.org"],
    ] as const) {
      const body = { type, recipient: given };
      const suppressed = await acme.admin.call("POST", "/notifications/suppressions", body);
      expect([suppressed.status, suppressed.body.recipient]).toEqual([201, stored]);
      const text = type === "sms" ? { body: "Hi" } : { subject: "Hi", body: "Hi" };
      const sent = await send({ recipient: other, ...text }, type);
      expect(sent.status, JSON.stringify(sent.body)).toBe(201);
      await settled(acme.admin, sent.body.message_id, "suppressed");
      expect(await find(given)).toBe(1);
      const query = new URLSearchParams({ recipient: other, type });
      const listed = await acme.admin.call("GET", `/notifications/suppressions?${query}`);
      expect(listed.body.items).toMatchObject([{ recipient: stored }]);
    }
  });

  it("goes to a user of the tenant, and to no other's", async () => {
    const { body } = await send({ user_id: acme.user.userId, subject: "Hi", body: "One\n\nTwo" });
    const sent = await settled(acme.admin, body.message_id);
    expect(sent.user_id).toBe(acme.user.userId);
    expect((await capturedFor(app, sent.recipient))[0].html).toContain("<p>One</p><p>Two</p>");
    const other = await newSenders(app);
    for (const user_id of [other.user.userId, unknownId]) {
      const refused = await send({ user_id, subject: "Hi", body: "x" });
      expect([refused.status, refused.body.code]).toEqual([400, "invalid_recipient"]);
    }
  });

  it("by text message and push reaches a number and a device", async () => {
    const sms = await send({ recipient: "+41791234567", body: "Your code" }, "sms");
    const token = "device-token-1";
    const push = await send({ recipient: token, subject: "Hi", body: "You" }, "push");
    await settled(acme.admin, sms.body.message_id);
    await settled(acme.admin, push.body.message_id);
    expect(await capturedFor(app, "+41791234567", "messages")).toMatchObject([
      { channel: "sms", text: "Your code" },
    ]);
    expect(await capturedFor(app, token, "messages")).toMatchObject([
      { channel: "push", title: "Hi", text: "You" },
    ]);
  });

  it.each([
    ["email", { recipient: '"x@evil y"@corp.example' }],
    ["email", { recipient: "a@b.example\r\nBcc: c@d.example" }],
    ["email", { recipient: "(comment)a@b.example" }],
    ["email", { recipient: "a@b.example, c@d.example" }],
    ["email", { recipient: "a@b.example", subject: "Hi\r\nBcc: eve@evil.example" }],
    ["email", { recipient: "a@b.example", subject: "Hi\u2028there" }],
    ["email", { recipient: "a@b.example", user_id: unknownId }],
    ["email", {}],
    [
      "email",
      { recipient: "a@b.example", template_name: "hello", body: undefined, subject: undefined },
    ],
    [
      "email",
      { recipient: "a@b.example", template_name: "unknown", body: undefined, subject: undefined },
    ],
    ["sms", { recipient: "0791234567", subject: undefined }],
    ["sms", { recipient: "+4179123\r\n4567", subject: undefined }],
    ["push", { recipient: "a b" }],
    ["push", { recipient: "device-token", subject: "a\nb" }],
  ])("by %s to %j is refused", async (channel, more) => {
    const { status } = await send({ subject: "Hi", body: "x", ...more }, channel);
    expect(status).toBe(400);
  });

  it("whose subject gets a second line by a value is refused", async () => {
    const { body } = await send({
      ...{ recipient: newAddress(), template_name: "hello" },
      template_vars: { name: "Ada\r\nBcc: eve@evil.example" },
    });
    expect(body.code).toBe("invalid_content");
  });

  it("needs the values that its template declares, and no others", async () => {
    const ask = (template_vars: object) =>
      send({ recipient: newAddress(), template_name: "hello", template_vars });
    const [none, more] = [await ask({}), await ask({ name: "Ada", other: 1 })];
    expect(none.body).toMatchObject({
      ...{ code: "invalid_template_vars", errors: [{ pointer: "/body/template_vars/name" }] },
    });
    expect(more.body.errors).toMatchObject([{ pointer: "/body/template_vars/other" }]);
  });

  it("that is asked for twice with one Idempotency-Key is sent once", async () => {
    const to = newAddress();
    const ask = () =>
      app.inject({
        method: "POST",
        url: "/api/v1/notifications/email",
        headers: {
          ...{ authorization: `Bearer ${acme.admin.token}`, "idempotency-key": "order-7" },
        },
        payload: { recipient: to, subject: "Hi", body: "x" },
      });
    const [one, two] = [(await ask()).json(), (await ask()).json()];
    expect(two).toEqual(one);
    await settled(acme.admin, one.message_id);
    const { body } = await acme.admin.call("GET", `/notifications/history?recipient=${to}`);
    expect(body.items).toHaveLength(1);
  });

  it("is one of so many a day", async () => {
    const { tenant, admin } = await newSenders(app);
    await app.tenants.update(tenant.id, { settings: { limits: { notifications_per_day: 1 } } });
    const replies = [];
    for (const body of ["one", "two"]) {
      replies.push(await send({ recipient: newAddress(), subject: "Hi", body }, "email", admin));
    }
    expect(replies.map(({ status }) => status)).toEqual([201, 429]);
    expect(replies[1]?.body.code).toBe("quota_exceeded");
  });

  it("is not sent by who may not", async () => {
    const { status } = await send(
      { recipient: newAddress(), subject: "Hi", body: "x" },
      "email",
      acme.user,
    );
    expect(status).toBe(403);
    expect((await acme.user.call("GET", "/notifications/history")).status).toBe(403);
  });

  it("that is more urgent goes before those that wait", async () => {
    const busy = await newSenders(app);
    // A suspended tenant's jobs wait.
    const ids: string[] = [];
    await app.tenants.suspend(busy.tenant.id);
    await app.withTenant(busy.tenant.id, async ({ db, jobs }) => {
      const { createNotification } = await import("./notifications.queries.ts");
      const { sendNotification } = await import("./send.job.ts");
      for (const priority of ["low", "normal", "critical", "high"] as const) {
        const one = await createNotification(db as never, {
          ...{ type: "sms", recipient: "+41791234568", userId: undefined, templateName: undefined },
          ...{ priority, content: { text: priority } },
        });
        ids.push(one.id);
        await jobs.send(sendNotification[priority], { notification_id: one.id });
      }
    });
    const states = () =>
      app.withTenant(busy.tenant.id, ({ db }) =>
        db.query("select priority, status from notifications order by sent_at, id"),
      );
    expect((await states()).map(({ status }) => status)).toEqual(Array(4).fill("queued"));
    expect(await capturedFor(app, "+41791234568", "messages")).toEqual([]);
    await app.tenants.resume(busy.tenant.id);
    for (const id of ids) await settled(busy.admin, id);
    expect((await states()).map(({ priority }) => priority)).toEqual([
      ...["critical", "high", "normal", "low"],
    ]);
  });
});

describe("the history", () => {
  it("is searched by what it was, to whom, and when", async () => {
    const other = await newSenders(app);
    const to = newAddress();
    const mail = await send({ recipient: to, subject: "Hi", body: "x" }, "email", other.admin);
    const sms = await send({ recipient: "+41791234569", body: "x" }, "sms", other.admin);
    await settled(other.admin, mail.body.message_id);
    await settled(other.admin, sms.body.message_id);
    const found = async (query: string) => {
      const { body } = await other.admin.call("GET", `/notifications/history?${query}`);
      return body.items.map(({ type }: { type: string }) => type);
    };
    expect(await found("")).toEqual(["sms", "email"]);
    expect(await found("type=sms")).toEqual(["sms"]);
    expect(await found(`recipient=${to}`)).toEqual(["email"]);
    expect(await found("status=failed")).toEqual([]);
    expect(await found("template_name=hello")).toEqual([]);
    expect(await found("from=2020-01-01T00:00:00Z&until=2021-01-01T00:00:00Z")).toEqual([]);
    const { body } = await other.admin.call("GET", "/notifications/history?limit=1");
    expect(await found(`limit=1&cursor=${body.next_cursor}`)).toEqual(["email"]);
  });

  it("of another tenant is not there, and can't be sent again", async () => {
    const { body } = await send({ recipient: newAddress(), subject: "Hi", body: "x" });
    const { admin } = await newSenders(app);
    for (const [method, more] of [
      ["GET", ""],
      ["POST", "/retry"],
    ] as const) {
      const [theirs, nobodys] = [
        await admin.call(method, `/notifications/history/${body.message_id}${more}`),
        await admin.call(method, `/notifications/history/${unknownId}${more}`),
      ];
      expect([theirs.status, theirs.text]).toEqual([404, nobodys.text]);
    }
    expect((await admin.call("GET", "/notifications/history")).body.items).toEqual([]);
    await settled(acme.admin, body.message_id);
  });
});

describe("a suppressed address", () => {
  it("is not written to until it is taken off the list; then again by a retry", async () => {
    const to = newAddress();
    const path = "/notifications/suppressions";
    const entry = { type: "email", recipient: to.toUpperCase(), reason: "complained" };
    const { status, body: made } = await acme.admin.call("POST", path, entry);
    expect([status, made]).toMatchObject([201, { recipient: to }]);
    expect((await acme.admin.call("POST", path, entry)).status).toBe(409);
    expect((await acme.admin.call("GET", `${path}?recipient=${to}`)).body.items).toMatchObject([
      { id: made.id },
    ]);

    const { body } = await send({ recipient: to, subject: "Hi", body: "x" });
    const one = await settled(acme.admin, body.message_id, "suppressed");
    expect(one).toMatchObject({ error_message: "complained", sent_at: null });
    expect(await capturedFor(app, to)).toEqual([]);

    const { admin } = await newSenders(app);
    expect((await admin.call("DELETE", `${path}/${made.id}`)).status).toBe(404);
    expect((await acme.admin.call("DELETE", `${path}/${made.id}`)).status).toBe(204);
    const retry = `/notifications/history/${body.message_id}/retry`;
    expect((await acme.admin.call("POST", retry)).body).toMatchObject({ status: "queued" });
    await settled(acme.admin, body.message_id);
    expect(await capturedFor(app, to)).toHaveLength(1);
    const again = await acme.admin.call("POST", retry);
    expect([again.status, again.body.code]).toEqual([409, "notification_not_retryable"]);
  });

  it("of one tenant is another's to write to", async () => {
    const to = newAddress();
    const entry = { type: "email", recipient: to };
    await acme.admin.call("POST", "/notifications/suppressions", entry);
    const { admin } = await newSenders(app);
    const { body } = await send({ recipient: to, subject: "Hi", body: "x" }, "email", admin);
    await settled(admin, body.message_id);
  });
});

it("without a topic of SES's there is nothing that takes its reports", async () => {
  const url = "/api/v1/notifications/feedback/sns";
  const headers = { "content-type": "text/plain" };
  const reply = await app.inject({ method: "POST", url, headers, payload: "{}" });
  expect([reply.statusCode, reply.json().code]).toEqual([404, "not_found"]);
});
