/**
 * Nobody becomes something by saying so: every route of a full app that takes a body is sent fields
 * that would be worth forging, and refuses those that it does not declare. New routes are in it by
 * themselves.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../src/app/app-api.ts";
import { dialects } from "../src/dialects/index.ts";
import { coreFeatures, standardFeatures } from "../src/features/index.ts";
import type { Route } from "../src/kernel/feature/feature.ts";
import { routePath } from "../src/kernel/http/api/declarations.ts";
import { streamKindOf } from "../src/kernel/http/body/stream-body.ts";
import { addMember, createMember, unknownId } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";
import { withProblems } from "../src/testing/problem-errors.ts";

const worthForging = [
  "role",
  "roles",
  "tenant_id",
  "user_id",
  "account_id",
  "permissions",
  "scopes",
  "is_owner",
  "platform_admin",
  "email_verified",
  "impersonator",
  "__proto__",
];

const routes = [...coreFeatures, ...standardFeatures, ...dialects]
  .flatMap((feature) => feature.routes)
  .filter(({ options }) => options.body !== undefined && options.permission !== "platform")
  // Bytes have no fields.
  .filter((route) => streamKindOf(route)?.kind !== "bytes");

const sent = (route: Route, field: string) =>
  streamKindOf(route)?.kind === "form"
    ? {
        headers: { "content-type": "multipart/form-data; boundary=b" },
        payload: [
          `--b\r\ncontent-disposition: form-data; name="${field}"\r\n\r\nowner\r\n`,
          '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n',
        ].join(""),
      }
    : { headers: { "content-type": "application/json" }, payload: `{"${field}":"owner"}` };

let app: App;
let owner: Record<string, string>;
let account: Record<string, string>;
beforeAll(async () => {
  app = await createTestApp({ features: withProblems([...standardFeatures, ...dialects]) });
  const { tenant } = await createMember(app);
  const { token } = await addMember(app, tenant, "owner");
  owner = { authorization: `Bearer ${token}` };
  const reply = await app.inject({
    method: "POST",
    url: "/api/v1/auth/register",
    payload: { email: "root@example.org", password: "a-Fine-passphrase-7" },
  });
  account = { authorization: `Bearer ${reply.json().token}` };
});
afterAll(() => app?.close());

describe("a body that forges", () => {
  it.each(routes.map((route) => [`${route.method} ${routePath(route)}`, route] as const))(
    "what %s does not take is refused",
    async (_name, route) => {
      const { method, options } = route;
      const declared = Object.keys(Reflect.get(options.body ?? {}, "properties") ?? {});
      for (const field of worthForging.filter((name) => !declared.includes(name))) {
        const { headers, payload } = sent(route, field);
        const reply = await app.inject({
          method,
          url: routePath(route).replaceAll(/:[a-z0-9_]+/g, unknownId),
          headers: { ...(options.context === "core" ? account : owner), ...headers },
          payload,
        });
        expect(`${field}: ${reply.statusCode}`).toBe(`${field}: 400`);
        const pointers = (reply.json().errors ?? []).map(
          ({ pointer }: { pointer: string }) => pointer,
        );
        if (field !== "__proto__") expect(pointers).toContain(`/body/${field}`);
      }
    },
  );
});
