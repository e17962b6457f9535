/** Names in one line, of whatever kind: nobody can make two that look the same, one that shows nothing, or two lines. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dialects } from "../src/dialects/index.ts";
import { coreFeatures, standardFeatures } from "../src/features/index.ts";
import { stringFormats } from "../src/kernel/validation/formats.ts";
import { addMember, createMember } from "../src/testing/fixtures.ts";
import { createTestApp, type TestApp } from "../src/testing/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app?.close());

const refused = [
  "\u200b",
  "\u00ad",
  "\u2060",
  "\u3164",
  "\u180e",
  "\u2800",
  "\u00a0",
  "\u2003",
  "\u3000 \t",
  "A\r\nB",
  "bell\u0007",
  "\u202egpj.exe",
  "a\u2067b\u2069",
  "vie\u200bwer",
];

describe("the format of a name", () => {
  const name = stringFormats.name;

  it.each(refused)("refuses %j", (text) => {
    expect(name?.check(text)).toBe(false);
  });

  it.each(["Zoë", " Ada ", "👩‍💻", "❤️", "می‌خواهم", "Müller & Söhne", "⠓⠊", "東京\u3000都", "x"])(
    "takes %j",
    (text) => {
      expect(name?.check(text)).toBe(true);
    },
  );
});

/** Fields of bodies that are called names, and are not: references, canonical forms, Liquid, files' (see fileName). */
const others =
  /^(username|user_?name|hostname|template_name|file_name|username_or_email|event_?name)$/;
const isName = (field: string) =>
  /(^|_)(name|title|sku|company)$/.test(field) && !others.test(field);

/** Calls `look` with each schema inside, and the field that it is of. */
function visit(
  value: unknown,
  look: (schema: Record<string, unknown>, field: string) => void,
  field = "",
): void {
  if (typeof value !== "object" || value === null) return;
  look(value as Record<string, unknown>, field);
  for (const [key, inner] of Object.entries(value)) {
    if (key !== "properties") visit(inner, look, field);
    else for (const [own, schema] of Object.entries(Object(inner))) visit(schema, look, own);
  }
}
const allRoutes = [...coreFeatures, ...standardFeatures, ...dialects].flatMap(({ name, routes }) =>
  routes.map(({ method, path, options }) => ({ route: `${name}: ${method} ${path}`, options })),
);

it("every name in a body of every route has the format, or a pattern of its own", () => {
  const missing: string[] = [];
  for (const { route, options } of allRoutes) {
    visit(options.body, ({ type, format, pattern }, field) => {
      if (type === "string" && isName(field) && format !== "name" && pattern === undefined) {
        missing.push(`${route}: ${field}`);
      }
    });
  }
  expect(missing).toEqual([]);
});

it("no answer promises the format: what is stored may be older", () => {
  const promised: string[] = [];
  for (const { route, options } of allRoutes) {
    visit(options.response, ({ format }, field) => {
      if (format === "name") promised.push(`${route}: ${field}`);
    });
  }
  expect(promised).toEqual([]);
});

describe("a name that shows nothing, or looks like another", () => {
  it("is none for anything that has one", async () => {
    const { tenant, userId, call } = await addMember(
      app,
      (await createMember(app)).tenant,
      "owner",
    );
    const id = async (path: string, body: object) => (await call("POST", path, body)).body.id;
    const role = await id("/roles", { name: "Clerk" });
    const contact = await id("/contacts", { name: "Ada" });
    const product = { name: "x", price: "1.00" };
    const file = { mime_type: "text/plain", file_size: 1 };
    const certificate = { kind: "certificate", certificate: "-----BEGIN CERTIFICATE-----" };
    const attempts = [
      ["POST", "/roles", (name: string) => ({ name })],
      ["PUT", `/roles/${role}`, (name: string) => ({ name })],
      ["PUT", `/tenants/${tenant.key}`, (name: string) => ({ name })],
      ["PATCH", `/tenants/${tenant.key}`, (name: string) => ({ name })],
      ["POST", "/api-keys", (name: string) => ({ name, scopes: ["users:read"] })],
      ["POST", "/client-certificates", (name: string) => ({ name, ...certificate })],
      ["POST", "/contacts", (name: string) => ({ name })],
      ["PATCH", `/contacts/${contact}`, (name: string) => ({ name })],
      ["POST", "/contacts", (company: string) => ({ name: "x", company })],
      ["POST", "/products", (name: string) => ({ ...product, name })],
      ["POST", "/products", (sku: string) => ({ ...product, sku })],
      ["POST", "/documents", (title: string) => ({ title })],
      ["PATCH", `/users/${userId}`, (first_name: string) => ({ first_name })],
      ["POST", "/files", (file_name: string) => ({ ...file, file_name })],
    ] as const;
    for (const name of ["vie\u200bwer", "\u3164", "\u2800", "\u2003", "A\r\nB"]) {
      const problem = /[\u200b\u3164\r]/.test(name)
        ? "must not have the invisible or control character U+"
        : "must not be blank";
      for (const [method, path, body] of attempts) {
        const { status, text } = await call(method, path, body(name));
        expect([method, path, name, status, text.includes(problem)], text).toEqual([
          ...[method, path, name, 400, true],
        ]);
      }
    }
  });

  it("is none in a file of contacts either", async () => {
    const { token } = await createMember(app);
    const reply = await app.inject({
      method: "POST",
      url: "/api/v1/contacts/import?dry_run=true",
      headers: { authorization: `Bearer ${token}`, "content-type": "text/csv" },
      payload: 'name,company\n"\u3164",x\nAda,"a\nb"\nGrace,Navy\n',
    });
    expect(reply.json()).toMatchObject({ rows: 3, refused_rows: 2 });
  });
});
