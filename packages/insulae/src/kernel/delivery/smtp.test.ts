/** E-mails over a real SMTP server, unencrypted: TLS has its own tests at the end. */
import { type AddressInfo, createServer } from "node:net";
import { sql } from "kysely";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { SmtpServer } from "../../config/parsers.ts";
import { openHostilePeer, smtpUntil, tcpMisdeeds } from "../../testing/hostile-peer.ts";
import { createTestApp } from "../../testing/test-app.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { feature } from "../feature/feature.ts";
import { mailTemplate } from "../feature/mail-template.ts";
import { smtpDriver } from "./smtp.ts";

interface Received {
  readonly from: string;
  readonly to: readonly string[];
  readonly source: string;
}

/** Responds to each mail as `reply` says: undefined accepts it, a number refuses it. */
async function openSmtp(
  reply: (mail: Received, times: number) => number | undefined = () => undefined,
  options: SMTPServerOptions = {},
) {
  const received: Received[] = [];
  const server = new SMTPServer({
    authOptional: true,
    hideSTARTTLS: true,
    disableReverseLookup: true,
    ...options,
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        const mail = {
          from: mailFrom ? mailFrom.address : "",
          to: rcptTo.map(({ address }) => address),
          source: Buffer.concat(chunks).toString("utf8"),
        };
        received.push(mail);
        const times = received.filter(({ to }) => to[0] === mail.to[0]).length;
        const code = reply(mail, times);
        if (code === undefined) done();
        else done(Object.assign(new Error("refused"), { responseCode: code }));
      });
    },
  });
  server.on("error", () => {}); // a client that rejects the certificate hangs up
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.server.address() as AddressInfo; // it listens on a port
  return {
    received,
    config: { host: "127.0.0.1", port, tls: "none", auth: undefined } satisfies SmtpServer,
    close: () => new Promise<void>((closed) => server.close(closed)),
  };
}

const note = mailTemplate<{ text: string }>(
  {
    name: "note",
    about: "In these tests",
    subject: "A note with ünicode",
    body: ["{{ text }}"],
    values: { text: "Hello" },
  },
  (values) => values,
);
const notes = feature("notes", { mails: [note] });

/** By the first letters of the address. */
const byAddress = ({ to: [address = ""] }: Received, times: number): number | undefined => {
  if (address.startsWith("later")) return times === 1 ? 451 : undefined;
  return address.startsWith("never") ? 550 : undefined;
};

let people: TestPeople;
let smtp: Awaited<ReturnType<typeof openSmtp>>;
beforeAll(async () => {
  smtp = await openSmtp(byAddress);
  people = await openTestPeople({
    features: [notes],
    config: { mail: "smtp", smtp: smtp.config, fromEmail: "noreply@insulae.example" },
  });
});
afterAll(async () => {
  await people?.close();
  await smtp?.close();
});

const send = (to: string) =>
  people.onPlatform(({ mail }) => mail.send(note, { to, variables: { text: "Hello, secret" } }));
const to = (prefix: string) => `${prefix}-${people.newEmail()}`;
const arrived = (address: string) => smtp.received.filter((mail) => mail.to[0] === address);

/** Makes the mail due and notifies the nodes. */
const makeDue = (address: string) =>
  people.onPlatform(async ({ control }) => {
    await sql`update control.mails set due_at = now() where recipient = ${address}`.execute(
      control,
    );
    await sql`select pg_notify('insulae', 'mail')`.execute(control);
  });

describe("by SMTP", () => {
  it("a mail arrives, and its variables are deleted", async () => {
    const address = to("fine");
    await send(address);
    const row = await people.mailRow(address, "sent");
    expect(row).toMatchObject({ variables: {}, reason: null, attempts: 1 });
    const [mail] = arrived(address);
    expect(mail).toMatchObject({ from: "noreply@insulae.example", to: [address] });
    expect(mail?.source).toContain(`To: ${address}`);
    expect(mail?.source).toContain(`Message-ID: <${row.id}@insulae.example>`);
    expect(mail?.source).toContain("Hello, secret");
  });

  it("a temporarily refused mail is retried", async () => {
    const address = to("later");
    await send(address);
    await expect.poll(async () => (await people.mailRow(address, "waiting")).reason).toMatch(/451/);
    const { due_at: due, created_at: created } = await people.mailRow(address, "waiting");
    expect(due.getTime()).toBeGreaterThan(created.getTime() + 5_000);
    expect(arrived(address)).toHaveLength(1);
    await makeDue(address);
    expect(await people.mailRow(address, "sent")).toMatchObject({ attempts: 2, variables: {} });
  });

  it("a permanently refused mail is given up, with the reason", async () => {
    const address = to("never");
    await send(address);
    const row = await people.mailRow(address, "failed");
    expect(row.reason).toMatch(/550/);
    expect(row).toMatchObject({ attempts: 1, variables: {} });
  });

  it("a repeatedly refused mail is given up in the end", async () => {
    const address = to("later");
    await send(address);
    await expect.poll(async () => (await people.mailRow(address, "waiting")).reason).toMatch(/451/);
    await people.onPlatform(({ control }) =>
      sql`update control.mails set attempts = 6, template = 'unknown' where recipient = ${address}`.execute(
        control,
      ),
    );
    await makeDue(address);
    expect((await people.mailRow(address, "failed")).reason).toContain("no mail template unknown");
  });

  it("several nodes send each mail once", async () => {
    const node = await people.openNode();
    onTestFinished(() => node.close());
    const addresses = Array.from({ length: 40 }, () => to("fine"));
    await Promise.all(addresses.map(send));
    for (const address of addresses) {
      await people.mailRow(address, "sent");
      expect(arrived(address)).toHaveLength(1);
    }
  });
});

/**
 * The subject as a reader decodes it (RFC 2047, both encodings; blanks between encoded words are
 * dropped).
 */
const shownSubject = (source: string | undefined): string => {
  const header = /^Subject: (.*(?:\r\n[ \t].*)*)/m.exec(source ?? "")?.[1] ?? "";
  return header
    .replaceAll(/\r\n(?=[ \t])/g, "")
    .replaceAll(/\?=\s+=\?/g, "?==?")
    .replaceAll(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, encoding: string, text: string) =>
      Buffer.from(
        encoding.toLowerCase() === "b"
          ? Buffer.from(text, "base64").toString("latin1")
          : text
              .replaceAll("_", " ")
              .replaceAll(/=([0-9A-F]{2})/gi, (_, hex) => String.fromCharCode(Number(`0x${hex}`))),
        "latin1",
      ).toString(),
    );
};

it.each([
  "=?utf-8?B?4oCuZXZpbA==?=",
  "=?utf-8?Q?x=0D=0AY?=",
  "Re: =?UTF-8?Q?a?= =?UTF-8?Q?b?= (=?iso-8859-1?q?=e9?=)",
  "a =?b",
  `=?utf-8?Q?${"long=20".repeat(20)}?= ${"é\u{1f600}".repeat(40)}`,
  "Plain, with  two blanks",
  "Grüße",
])("a subject is read as it was sent: %s", async (subject) => {
  const driver = smtpDriver(smtp.config, "noreply@insulae.example");
  onTestFinished(() => driver.close());
  const address = to("subject");
  const about = { id: "m", tenant: undefined, template: undefined };
  await driver.deliver({ ...about, to: address, subject, text: "t", html: "h" });
  expect(shownSubject(arrived(address)[0]?.source)).toBe(subject);
});

describe("a mail server that never completes", () => {
  it("doesn't delay the stop of a process; the mail waits", async () => {
    const misdeed = tcpMisdeeds["sends a letter now and then"] ?? (() => {});
    const endless = await openHostilePeer(smtpUntil(/^MAIL/i, misdeed), "connect");
    const server = { host: "127.0.0.1", port: endless.port, tls: "none", auth: undefined } as const;
    const app = await createTestApp({ features: [notes], config: { mail: "smtp", smtp: server } });
    const recipient = people.newEmail();
    await app.withPlatform("a test", ({ mail }) =>
      mail.send(note, { to: recipient, variables: { text: "x" } }),
    );
    await expect.poll(endless.held).toBe(1);
    // It would have been given up after 45 s.
    await app.close();
    await expect.poll(endless.held).toBe(0);
  });
});

describe("a mail server's TLS", () => {
  const mail = {
    ...{ id: "m", tenant: undefined, template: undefined, to: "ada@example.org" },
    ...{ subject: "s", text: "t", html: "h" },
  };
  const deliver = async (config: SmtpServer) => {
    const driver = smtpDriver(config, "noreply@insulae.example");
    try {
      return await driver.deliver(mail);
    } finally {
      await driver.close();
    }
  };

  it("is required: a server without it gets no mail and no password", async () => {
    const logins: unknown[] = [];
    const plain = await openSmtp(undefined, {
      onAuth: (auth, _session, done) => {
        logins.push(auth);
        done(null, { user: "u" });
      },
      allowInsecureAuth: true,
    });
    onTestFinished(plain.close);
    const auth = { user: "u", pass: "p" };
    await expect(deliver({ ...plain.config, tls: "starttls", auth })).rejects.toThrow();
    expect([plain.received, logins]).toEqual([[], []]);
  });

  it("is verified: a server with an untrusted certificate gets nothing", async () => {
    // smtp-server's default certificate is self-signed.
    const starttls = await openSmtp(undefined, { hideSTARTTLS: false });
    onTestFinished(starttls.close);
    const implicit = await openSmtp(undefined, { secure: true });
    onTestFinished(implicit.close);
    await expect(deliver({ ...starttls.config, tls: "starttls" })).rejects.toThrow(/certificate/);
    await expect(deliver({ ...implicit.config, tls: "implicit" })).rejects.toThrow(/certificate/);
    expect([...starttls.received, ...implicit.received]).toEqual([]);
  });

  it("is not blamed for an unreachable server: the mail waits", async () => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as AddressInfo; // as above
    await new Promise((closed) => server.close(closed));
    const gone = { ...smtp.config, port };
    await expect(deliver(gone)).rejects.toMatchObject({ code: "ESOCKET" });
  });
});
