/**
 * Whatever text a client sends, and wherever it goes, the work grows with its length and no faster: one
 * request must not hold up the others. Each entrance of texts gets texts that are known to make careless
 * patterns try again from each of their characters.
 */
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { Type } from "typebox";
import { expect, test, vi } from "vitest";
import { dialects } from "../src/dialects/index.ts";
import { coreFeatures, standardFeatures } from "../src/features/index.ts";
import { containing } from "../src/kernel/data/like.ts";
import { createCursors } from "../src/kernel/feature/cursor.ts";
import { parseJsonBody } from "../src/kernel/http/body/json-body.ts";
import { receiveForm } from "../src/kernel/http/body/multipart.ts";
import { canonicalOrigin } from "../src/kernel/http/request/origins.ts";
import { testServer } from "../src/kernel/http/server/test-server.ts";
import { keptUserAgent } from "../src/kernel/identity/sessions.ts";
import { parseAddress } from "../src/kernel/lib/client-address.ts";
import { cookieIn } from "../src/kernel/lib/cookies.ts";
import { csvRecords, csvText } from "../src/kernel/lib/csv.ts";
import { AppError } from "../src/kernel/lib/errors.ts";
import { tenantKey } from "../src/kernel/lib/tenant-keys.ts";
import { beginning, isLonger, normalised } from "../src/kernel/lib/text.ts";
import { canonicalHost } from "../src/kernel/net/hostname.ts";
import { createLoggerTo } from "../src/kernel/telemetry/log.ts";
import { formatLine, readLine } from "../src/kernel/telemetry/log-line.ts";
import { keptText, redact, redactText } from "../src/kernel/telemetry/redact.ts";
import { canonicalTenantKey } from "../src/kernel/tenancy/tenant-key.ts";
import { findCanonicalEmail } from "../src/kernel/validation/email.ts";
import { stringFormats } from "../src/kernel/validation/formats.ts";
import { createValidators } from "../src/kernel/validation/validation.ts";
import { growthOf } from "../src/testing/growth.ts";

vi.setConfig({ testTimeout: 120_000 });

/** Pieces, and what comes after the last of them. */
const pieces: readonly (readonly [string, string?])[] = [
  ["ey-"],
  ["eyJ0.eyJ0-"],
  ["ik_a-"],
  ["a.a.", "!"],
  ["a", "!"],
  ["0", "x"],
  [" ", "x"],
  [" \t"],
  ["-"],
  ["="],
  ["%"],
  ["%41", "|"],
  ["?a", "#"],
  ["?token", "="],
  ["&key=?code=", " "],
  ["a://a:", " "],
  ["a://a:b@"],
  ["bearer "],
  ["basic  ", "x"],
  ["has_", "1"],
  ["a@", "b"],
  ["a,"],
  ['"'],
  ['\\"'],
  ["\\"],
  ['W/"a", '],
  ["[", "]"],
  ['{"a":', "1"],
  ["[1e", "]"],
  ["1,"],
  ["::"],
  ["\r\n"],
  ["\u2028"],
  ["\u{1f600}"],
  ["a\u0300\u0316"],
  ["\u0300\u0316"],
  ["\u05d0\u0301"],
  ["Σ\u0301"],
  ["İ"],
  ["ﷺ"],
];

const cursor = createCursors("a secret of at least thirty-two bytes")({
  tenantId: "t",
  list: "l",
  order: "o",
});
const log = createLoggerTo("trace", () => {});
const validators = createValidators();
const closed = validators(Type.Object({ name: Type.Optional(Type.String()) }), "body");
const loose = validators(Type.Object({ name: Type.String({ maxLength: 2_000_000 }) }), "body");
const list = validators(Type.Array(Type.String(), { uniqueItems: true, maxItems: 1e6 }), "body");

async function readCsv(text: string): Promise<void> {
  for await (const _ of csvRecords(Readable.from([Buffer.from(text)])));
}

const entrances: Readonly<Record<string, (text: string) => unknown>> = {
  "a text that is kept": redactText,
  "a text that is cut": (text) => keptText(text, 500),
  "a value of an audit entry": (text) => redact({ settings: { custom: { note: text } } }),
  "a name of an audit entry": (text) => redact({ [text]: "value" }),
  "a user agent": keptUserAgent,
  "the log": (text) => log.warn({ field: text, err: new Error(text) }, text),
  "a line that is watched": (text) => formatLine(readLine(JSON.stringify({ msg: text })), "text"),
  "a line of another's": (text) => formatLine(readLine(text), "json"),
  "an e-mail": findCanonicalEmail,
  "a host": canonicalHost,
  "an address": parseAddress,
  "an origin": canonicalOrigin,
  "a tenant's key": canonicalTenantKey,
  "a key in Redis": (text) => tenantKey(undefined, text),
  "a cookie": (text) => cookieIn(`${text}; __Host-a=1`, "__Host-a"),
  "a cursor": cursor.decode,
  "a search": containing,
  "a name": (text) => [normalised(text), beginning(text, 100), isLonger(text, 100)],
  "a body": (text) => parseJsonBody(Buffer.from(text)),
  "a text in a body": (text) => parseJsonBody(Buffer.from(JSON.stringify({ a: [text] }))),
  "a key in a body": (text) => parseJsonBody(Buffer.from(JSON.stringify({ [text]: 1e21 }))),
  "a number in a body": (text) => parseJsonBody(Buffer.from(`[1${text}]`)),
  "numbers in a body": (text) =>
    parseJsonBody(Buffer.from(`[1${",0.10000000000000000".repeat(text.length / 100)},1e400]`)),
  "an unknown field": (text) => closed({ [text]: 1 }),
  "a long field": (text) => loose({ name: text }),
  "a list": (text) => list(text.split("", 20_000)),
  "a cell of CSV that is written": (text) => csvText([[text]]),
  ...Object.fromEntries(
    Object.entries(stringFormats).map(([name, { check }]) => [`the format ${name}`, check]),
  ),
};

/** Those of the schemas of all routes. */
function patterns(): Set<string> {
  const found = new Set<string>();
  const look = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [name, inner] of Object.entries(value)) {
      if (name === "pattern" && typeof inner === "string") found.add(inner);
      if (name === "patternProperties")
        for (const key of Object.keys(Object(inner))) found.add(key);
      look(inner);
    }
  };
  for (const { routes } of [...coreFeatures, ...standardFeatures, ...dialects]) {
    for (const { options } of routes) look([options.params, options.query, options.body]);
  }
  return found;
}

async function expectLinear(work: (text: string) => unknown, longest?: number): Promise<void> {
  const quiet = async (text: string): Promise<void> => {
    try {
      await work(text);
    } catch (error) {
      // Refusing a text is fine.
      if (!(error instanceof AppError)) throw error;
    }
  };
  for (const piece of pieces) {
    const growth = await growthOf(quiet, piece, longest === undefined ? {} : { longest });
    if (growth) expect({ piece, ...growth }).toSatisfy(() => growth.ratio < 9);
  }
}

test.each(Object.entries(entrances))(
  "the work of %s grows as its text does",
  async (_name, work) => {
    await expectLinear(work);
  },
);

test("the work of every pattern of a schema grows as its text does", async () => {
  const all = [...patterns()].map((pattern) => new RegExp(pattern, "u"));
  expect(all.length).toBeGreaterThan(10);
  for (const pattern of all) await expectLinear((text) => pattern.test(text), 131_072);
});

const boundary = "----boundary";
const headerOf = (name: string) => `--${boundary}\r\ncontent-disposition: form-data; ${name}\r\n`;

/** A form whose parts say what they are in these words. */
async function readForm(...parts: readonly string[]): Promise<void> {
  const bytes = Buffer.from(`${parts.join("")}--${boundary}--\r\n`);
  // What the reading of a form asks of a request.
  const raw = Object.assign(Readable.from([bytes]), {
    complete: true,
  }) as unknown as IncomingMessage;
  const type = `multipart/form-data; boundary=${boundary}`;
  const form = { raw, type, maxBytes: 10_000_000, properties: {}, check: () => {} };
  await receiveForm(form, async ({ bytes }) => {
    for await (const _ of bytes);
  });
}

test.each<[string, (text: string) => Promise<void>]>([
  ["a part's name", (text) => readForm(`${headerOf(`name="${text}"`)}\r\nx\r\n`)],
  ["a file's name", (text) => readForm(`${headerOf(`name="file"; filename="${text}"`)}\r\nx\r\n`)],
  ["a part's header", (text) => readForm(`${headerOf(text)}\r\nx\r\n`)],
  ["a part's content", (text) => readForm(`${headerOf('name="file"')}\r\n${text}\r\n`)],
])("the work of %s grows as its text does", async (_what, read) => {
  await expectLinear(read, 131_072);
});

test("the work of a CSV file grows as its text does", async () => {
  await expectLinear(readCsv, 131_072);
});

test.each([
  "accept",
  "accept-encoding",
  "authorization",
  "content-type",
  "cookie",
  "forwarded",
  "host",
  "idempotency-key",
  "if-match",
  "if-none-match",
  "origin",
  "range",
  "traceparent",
  "user-agent",
  "x-api-key",
  "x-forwarded-for",
  "x-request-id",
  "x-tenant",
])("the work of a request's header %s grows as its text does", async (name) => {
  const { app } = testServer([], { trustProxy: ["127.0.0.1"] });
  await app.ready();
  await expectLinear(async (text) => {
    // As Node gives a header's bytes.
    const value = Buffer.from(text)
      .toString("latin1")
      .replaceAll(/[\r\n\0]/g, " ");
    await app.inject({ method: "POST", url: "/health", headers: { [name]: value }, payload: "{}" });
  }, 65_536);
});

test("the work of an address grows as its text does", async () => {
  const { app } = testServer([]);
  await app.ready();
  for (const before of ["/", "/health?", "/health?a=", "/health;"]) {
    await expectLinear(async (text) => {
      await app.inject({ url: `${before}${encodeURI(text.toWellFormed())}` });
    }, 65_536);
  }
});
