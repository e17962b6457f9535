import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestApp } from "../../testing/test-app.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { until } from "../../testing/until.ts";
import { feature } from "../feature/feature.ts";
import { mailTemplate } from "../feature/mail-template.ts";
import { mailTemplates } from "./mail.ts";

const hello = mailTemplate<{ text: string }>(
  {
    name: "hello",
    about: "In these tests",
    subject: "Hello from {{ tenant }}",
    body: ["{{ text }}", "{{ link }}"],
    values: { text: "Hello" },
    links: { link: "Open" },
  },
  ({ text }, { link }) =>
    text === "nothing" ? undefined : { text, link: link("/open", { token: "t&<" }) },
);
const strange = mailTemplate<object>(
  { name: "strange", about: "Never", subject: "-", body: [] },
  () => undefined,
);
const greetings = feature("greetings", { mails: [hello] });

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople({
    features: [greetings],
    config: { appUrl: "https://app.example.com" },
  });
});
afterAll(() => people?.close());

const platform: TestPeople["onPlatform"] = (work) => people.onPlatform(work);

describe("a mail", () => {
  it("is captured where there is no server, in text and HTML, with links from configuration", async () => {
    const [tenant, to] = [await people.newTenant({ name: "Acme <Corp>" }), people.newEmail()];
    await platform(({ mail }) => mail.send(hello, { to, tenant, variables: { text: "a < b" } }));
    const [mail] = await people.mailsTo(to);
    expect(mail).toMatchObject({ template: "hello", to, subject: "Hello from Acme <Corp>" });
    expect(mail?.text).toContain("a < b");
    expect(mail?.text).toContain("https://app.example.com/open?token=t%26%3C");
    expect(mail?.html).toContain("<p>a &lt; b</p>");
    expect(mail?.html).toContain('href="https://app.example.com/open?token=t%26%3C"');
    expect(mail?.html).toContain("Acme &lt;Corp&gt;");
  });

  it("is sent if the transaction is, and not otherwise", async () => {
    const [kept, lost] = [people.newEmail(), people.newEmail()];
    const send = (to: string, fail: boolean) =>
      platform(({ control, mail }) =>
        control.transaction().execute(async (tx) => {
          await mail.send(hello, { to, variables: { text: "in a transaction" } }, tx);
          if (fail) throw new Error("rolled back");
        }),
      );
    await expect(send(lost, true)).rejects.toThrow("rolled back");
    await send(kept, false);
    await people.mailsTo(kept);
    const { rows } = await platform(({ control }) =>
      sql`select from control.mails where recipient = ${lost}`.execute(control),
    );
    expect(rows).toEqual([]);
  });

  it("has an address that all mailers read alike, or is refused", async () => {
    const hostile = [
      '"x@evil y"@corp.example',
      "a@b.example\r\nBcc: c@d.example",
      "a@b.example, c@d.example",
      "(comment)a@b.example",
      "<a@b.example>",
      "Ada <a@b.example>",
      "a@[127.0.0.1]",
      "a\u0000@b.example",
    ];
    for (const to of hostile) {
      const sending = platform(({ mail }) => mail.send(hello, { to, variables: { text: "x" } }));
      await expect(sending, to).rejects.toMatchObject({ code: "invalid_email", status: 400 });
    }
  });

  it("has one line for a subject, whatever the tenant is called", async () => {
    const [tenant, to] = [
      await people.newTenant({ name: "Acme\r\nBcc: eve@evil.example\u2028\u202ex" }),
      people.newEmail(),
    ];
    await platform(({ mail }) => mail.send(hello, { to, tenant, variables: { text: "x" } }));
    const [mail] = await people.mailsTo(to);
    expect(mail?.subject).toBe("Hello from Acme Bcc: eve@evil.example x");
  });

  it("that has nothing to say is dropped, and what it was made from is not kept", async () => {
    const to = people.newEmail();
    await platform(({ mail }) => mail.send(hello, { to, variables: { text: "nothing" } }));
    const row = await people.mailRow(to, "dropped");
    expect(row).toMatchObject({ variables: {}, attempts: 1 });
  });

  it("about a suspended tenant is not sent", async () => {
    const [tenant, to] = [await people.newTenant(), people.newEmail()];
    await people.suspend(tenant);
    await platform(({ mail }) => mail.send(hello, { to, tenant, variables: { text: "x" } }));
    await people.mailRow(to, "dropped");
  });

  it("is one that a feature has declared, under a name of its own", async () => {
    const sending = platform(({ mail }) =>
      mail.send(strange, { to: "a@b.example", variables: {} }),
    );
    await expect(sending).rejects.toThrow("not among any feature's mails");
    expect(() => mailTemplates([greetings, feature("others", { mails: [hello] })])).toThrow(
      "two mail templates have the name hello",
    );
  });
});

it("a mail that no tenant sends has the application's name", async () => {
  const app = await createTestApp({ name: "Notes & more", features: [greetings] });
  try {
    await app.withPlatform("a mail, for the test", ({ mail }) =>
      mail.send(hello, { to: "ada@example.com", variables: { text: "x" } }),
    );
    const [mail] = await until("it is sent", async () => {
      const reply = await app.inject({ url: "/api/v1/dev/mails" });
      return reply.json().items.length > 0 && reply.json().items;
    });
    expect(mail.captured?.subject ?? mail.subject).toBe("Hello from Notes & more");
  } finally {
    await app.close();
  }
});

describe("who may read mails", () => {
  it("is nobody in production but a platform administrator", async () => {
    const node = await people.openNode({ env: "production", baseDomain: "example.com" });
    try {
      const reply = await node.inject({ url: "/api/v1/dev/mails" });
      expect(reply.statusCode).toBe(404);
      const stranger = await node.inject({ url: "/api/v1/mails" });
      expect(stranger.statusCode).toBe(401);
    } finally {
      await node.close();
    }
  });

  it("is a platform administrator, and no other account", async () => {
    const to = people.newEmail();
    await platform(({ mail }) => mail.send(hello, { to, variables: { text: randomUUID() } }));
    await people.mailsTo(to);
    const [admin, other] = [await people.admin(), await people.newAccount()];
    const { body } = await people.get(`/api/v1/mails?to=${to}&limit=1`, admin);
    expect(body.items).toMatchObject([
      { to, state: "sent", captured: { subject: "Hello from Insulae" } },
    ]);
    expect(await people.get("/api/v1/mails", other)).toMatchObject({ status: 403 });
  });
});
