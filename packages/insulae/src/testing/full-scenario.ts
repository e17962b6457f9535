/**
 * Calls every route that changes something, as somebody who may, so that it succeeds. For tests of
 * what must hold for all routes: what is audited, and what is never stored.
 */
import type { App } from "../app/app-api.ts";
import type { Route } from "../kernel/feature/feature.ts";
import { routePath } from "../kernel/http/api/declarations.ts";
import { unknownId } from "./fixtures.ts";
import { parkJob } from "./parked-job.ts";
import { lookAfterAccount } from "./scenario-accounts.ts";
import type { Call, Reply } from "./scenario-calls.ts";
import { notify } from "./scenario-notifications.ts";
import { makeCertificate } from "./test-certificates.ts";
import { formOf } from "./test-files.ts";
import { until } from "./until.ts";

export interface Step {
  /** `POST /api/v1/contacts/:id`, as the route is declared. */
  readonly route: string;
  readonly status: number;
  readonly requestId: string;
  /** The response's body and header values, as sent. */
  readonly text: string;
}

export interface FullScenario {
  readonly steps: readonly Step[];
  /** The keys of all its tenants. */
  readonly tenants: readonly string[];
}

export interface ScenarioOptions {
  readonly app: App;
  /** The TXT records; the app must have been created with them. */
  readonly txt: Map<string, string[]>;
  /** Headers of every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Called with every secret, before it is sent or as soon as it is received. */
  readonly onSecret?: (secret: string) => void;
  /** Called before each request. */
  readonly onCall?: () => void;
}

/** Everybody's initial password. */
export const scenarioPassword = "a-Fine-passphrase-8";

/** @throws Error if a route did not succeed */
export async function runFullScenario(options: ScenarioOptions): Promise<FullScenario> {
  const { app, txt, onSecret = () => {} } = options;
  const steps: Step[] = [];

  const call = async (route: string, asked: Call = {}): Promise<Reply> => {
    const [method = "", pattern = ""] = route.split(" ");
    const path = pattern.replaceAll(/:([a-z_]+)/g, (_, name: string) =>
      encodeURIComponent(asked.params?.[name] ?? unknownId),
    );
    const prefix = pattern.startsWith("/.") ? "" : "/api/v1";
    options.onCall?.();
    const reply = await app.inject({
      method: method as "GET", // the routes' own
      url: `${prefix}${path}${asked.query ?? ""}`,
      headers: {
        ...options.headers,
        ...asked.headers,
        ...(asked.token !== undefined && { authorization: `Bearer ${asked.token}` }),
        ...(asked.tenant !== undefined && { "x-tenant": asked.tenant }),
      },
      ...(asked.body !== undefined && { payload: asked.body as object }),
    });
    const step = {
      route: `${method} ${prefix}${pattern}`,
      status: reply.statusCode,
      requestId: String(reply.headers["x-request-id"]),
      text: `${reply.body}\n${JSON.stringify(reply.headers)}`,
    };
    steps.push(step);
    if (reply.statusCode >= 300) throw new Error(`${route}: ${reply.statusCode} ${reply.body}`);
    const cookie = String(reply.headers["set-cookie"] ?? "").split(";")[0] ?? "";
    const isJson = String(reply.headers["content-type"]).includes("json") && reply.body !== "";
    const body = isJson && !reply.body.includes("\n") ? JSON.parse(reply.body) : undefined;
    return { status: reply.statusCode, body, cookie };
  };

  const secret = <Text extends string>(text: Text): Text => {
    onSecret(text);
    return text;
  };
  const password = secret(scenarioPassword);
  const otherPassword = secret("an0ther-Fine-passphrase");

  const register = async (email: string, more: object = {}, tenant?: string) => {
    const { body } = await call("POST /auth/register", {
      ...(tenant && { tenant }),
      body: { email, password, ...more },
    });
    return noted(body);
  };
  const logIn = async (email: string, tenant?: string, chosen: string = password) => {
    const { body } = await call("POST /auth/login", {
      ...(tenant && { tenant }),
      body: { email, password: chosen },
    });
    return noted(body);
  };
  const noted = (body: Record<string, string>) => {
    for (const name of ["token", "access_token", "refresh_token", "csrf_token"]) {
      if (body[name]) secret(body[name]);
    }
    // biome-ignore lint/suspicious/noExplicitAny: as above
    return body as any;
  };
  /** The token in the newest link sent to somebody, once there are `count`. */
  const linkTo = async (email: string, page: string, count = 1): Promise<string> => {
    const found = await until(`${email} has got ${count} links to ${page}`, async () => {
      const { body } = await call("GET /dev/mails", { query: `?to=${encodeURIComponent(email)}` });
      const tokens = body.items.flatMap(({ text }: { text: string }) =>
        [...text.matchAll(new RegExp(`/${page}\\?token=([\\w-]+)`, "g"))].map(([, token]) => token),
      );
      return tokens.length >= count && tokens;
    });
    return secret(found[0]);
  };

  // The platform: an administrator, two accounts, a tenant.
  await app.ensureAdmin({ email: "admin@example.com", password });
  const admin = (await logIn("admin@example.com")).token;
  const founder = "founder@acme.example";
  const { token: founderToken } = await register(founder);
  await call("POST /auth/resend-verification", { body: { email: founder } });
  await call("POST /auth/verify-email", {
    body: { token: await linkTo(founder, "verify-email", 2) },
  });
  const acme = (
    await call("POST /tenants", {
      token: founderToken,
      body: { key: "acme", name: "Acme", settings: { registration: "open" } },
    })
  ).body;
  const inAcme = async () =>
    noted(
      (
        await call("POST /auth/switch", {
          token: (await logIn(founder)).token,
          body: { tenant: "acme" },
        })
      ).body,
    );
  const owner: string = (await inAcme()).token;
  const founderAtPlatform = await call("POST /auth/switch", {
    token: owner,
    body: { tenant: null },
  });
  await call("POST /auth/tenant-tokens", {
    token: noted(founderAtPlatform.body).token,
    body: { tenant: "acme" },
  });

  // A member joins and leaves.
  const ada = "ada@example.com";
  const signedIn = await register(ada, { username: "ada" }, "acme");
  noted(
    (await call("POST /auth/refresh", { body: { refresh_token: signedIn.refresh_token } })).body,
  );
  const another = await logIn(ada, "acme");
  const { body: sessions } = await call("GET /auth/sessions", { token: another.token });
  const ended = sessions.items.find(({ current }: { current: boolean }) => !current);
  await call("DELETE /auth/sessions/:id", { token: another.token, params: { id: ended.id } });
  await call("POST /auth/logout", { token: another.token });
  const browser = await call("POST /auth/login", {
    tenant: "acme",
    body: { email: ada, password, session: "cookie" },
  });
  secret(browser.cookie.split("=")[1] ?? "");
  noted(browser.body);
  await call("POST /auth/password-change", {
    headers: { cookie: browser.cookie, "x-csrf-token": browser.body.csrf_token },
    body: { current_password: password, new_password: otherPassword },
  });
  await call("POST /auth/password-reset-request", { tenant: "acme", body: { email: ada } });
  await call("POST /auth/password-reset", {
    body: { token: await linkTo(ada, "password-reset"), password },
  });
  await call("POST /auth/logout-all", { token: (await logIn(ada, "acme")).token });

  // Users, roles, keys, certificates.
  const made = (
    await call("POST /users", { token: owner, body: { email: "bob@example.com", password } })
  ).body;
  const bob = { id: made.id };
  await call("PATCH /users/:id", { token: owner, params: bob, body: { role: "manager" } });
  const role = (await call("POST /roles", { token: owner, body: { name: "Readers" } })).body;
  await call("PUT /roles/:id", {
    token: owner,
    params: { id: role.id },
    body: { name: "Readers", permissions: ["contacts:read"] },
  });
  const { body: permissions } = await call("GET /permissions", { token: owner });
  const permission = (permissions.items ?? permissions).find(
    ({ name }: { name: string }) => name === "orders:read",
  );
  await call("POST /roles/:id/permissions", {
    token: owner,
    params: { id: role.id },
    body: { permission: permission.name },
  });
  await call("DELETE /roles/:id/permissions/:permission_id", {
    token: owner,
    params: { id: role.id, permission_id: permission.id },
  });
  await call("POST /users/:id/roles", { token: owner, params: bob, body: { role: role.id } });
  await call("DELETE /users/:id/roles/:role_id", {
    token: owner,
    params: { ...bob, role_id: role.id },
  });
  await call("DELETE /roles/:id", { token: owner, params: { id: role.id } });
  const key = (
    await call("POST /api-keys", { token: owner, body: { name: "CI", scopes: ["contacts:write"] } })
  ).body;
  await call("POST /contacts", {
    headers: { "x-api-key": secret(key.key) },
    body: { name: "made by a key" },
  });
  await call("DELETE /api-keys/:id", { token: owner, params: { id: key.id } });
  await call("POST /jobs/:id/retry", { token: owner, params: { id: await parkJob(app, "acme") } });
  await call("DELETE /jobs/:id", { token: owner, params: { id: await parkJob(app, "acme") } });
  const authority = await makeCertificate({ authority: true, subject: "CN=CI" });
  const registered = (
    await call("POST /client-certificates", {
      token: owner,
      body: {
        name: "CI",
        kind: "authority",
        certificate: authority.cert,
        required_subject: ["CN=ci"],
        scopes: ["contacts:read"],
      },
    })
  ).body;
  await call("DELETE /client-certificates/:id", { token: owner, params: { id: registered.id } });

  // Hosts and domains.
  const atHost = { id: "acme", hostname: "shop.acme.example" };
  const host = (
    await call("POST /tenants/:id/hosts", {
      token: owner,
      params: { id: "acme" },
      body: { hostname: atHost.hostname },
    })
  ).body;
  txt.set(host.verification.name, [host.verification.value]);
  await call("POST /tenants/:id/hosts/:hostname/verify", { token: owner, params: atHost });
  const tls = await makeCertificate({ hosts: [atHost.hostname] });
  await call("PUT /tenants/:id/hosts/:hostname/certificate", {
    token: owner,
    params: atHost,
    body: { certificate: tls.cert, private_key: secret(tls.key) },
  });
  secret(tls.key.split("\n")[1] ?? "");
  await call("DELETE /tenants/:id/hosts/:hostname/certificate", { token: owner, params: atHost });
  await call("DELETE /tenants/:id/hosts/:hostname", { token: owner, params: atHost });
  const domain = { domain: "acme.example" };
  const claim = (
    await call("POST /email-domains", { token: owner, body: { ...domain, role: "user" } })
  ).body;
  txt.set(claim.verification.name, [claim.verification.value]);
  await call("POST /email-domains/:domain/verify", { token: owner, params: domain });

  // Somebody joins by their e-mail domain, becomes the owner, and the founder leaves.
  const heir = "heir@acme.example";
  const { token: heirToken } = await register(heir);
  await call("POST /auth/verify-email", { body: { token: await linkTo(heir, "verify-email") } });
  const joined = (
    await call("POST /tenants/:id/join", { token: heirToken, params: { id: "acme" } })
  ).body;
  await call("DELETE /email-domains/:domain", { token: owner, params: domain });

  // An administrator acts as a user, and the tenant ends the impersonation.
  const actAs = {
    tenant: "acme",
    user_id: bob.id,
    reason: "a support case",
    minutes: 10,
  };
  for (const route of ["DELETE /platform/impersonations/:id", "DELETE /impersonations/:id"]) {
    const { body } = await call("POST /platform/impersonations", { token: admin, body: actAs });
    noted(body);
    const params = { id: body.id };
    noted((await call("POST /platform/impersonations/:id/token", { token: admin, params })).body);
    await call(route, { token: route.includes("platform") ? admin : owner, params });
  }
  await call("DELETE /users/:id/sessions", { token: owner, params: bob });
  await call("DELETE /users/:id", { token: owner, params: bob });

  // Everyday data.
  const product = (
    await call("POST /products", { token: owner, body: { name: "A thing", price: "9.50" } })
  ).body;
  const everyday: readonly (readonly [string, object, object])[] = [
    ["contacts", { name: "Ada" }, { phone: "1" }],
    ["orders", { lines: [{ product_id: product.id, quantity: 1 }] }, { status: "cancelled" }],
    ["documents", { title: "A text" }, { content: "with words" }],
    ["products", { name: "Another", price: "1.00" }, { price: "2.00" }],
  ];
  for (const [name, first, change] of everyday) {
    const { body } = await call(`POST /${name}`, { token: owner, body: first });
    const params = { id: body.id };
    await call(`PATCH /${name}/:id`, { token: owner, params, body: change });
    await call(`DELETE /${name}/:id`, { token: owner, params });
  }

  // A webhook to an address where nobody listens.
  const hook = (
    await call("POST /webhooks", {
      token: owner,
      body: { url: "http://127.0.0.1:1/", events: ["*"] },
    })
  ).body;
  secret(hook.secret);
  const ofHook = { id: hook.id };
  await call("PATCH /webhooks/:id", {
    token: owner,
    params: ofHook,
    body: { description: "Ours" },
  });
  const rotated = await call("POST /webhooks/:id/rotate-secret", { token: owner, params: ofHook });
  secret(rotated.body.secret);
  const tested = await call("POST /webhooks/:id/test", { token: owner, params: ofHook });
  await call("POST /webhooks/:id/deliveries/:delivery/redeliver", {
    token: owner,
    params: { ...ofHook, delivery: tested.body.id },
  });
  await call("DELETE /webhooks/:id", { token: owner, params: ofHook });

  const csv = { "content-type": "text/csv" };
  await call("POST /contacts/import", { token: owner, headers: csv, body: "name\nAda\n" });
  for (const name of ["contacts", "products", "orders", "documents", "users"]) {
    await call(`GET /${name}/export`, { token: owner });
  }
  // A file uploaded through the server, and one uploaded directly to the storage.
  const form = formOf({ content: "words" });
  const uploaded = await call("POST /files/upload", {
    token: owner,
    headers: form.headers,
    body: form.payload,
  });
  const fileParams = { id: uploaded.body.id };
  await call("PATCH /files/:id", {
    token: owner,
    params: fileParams,
    body: { file_name: "b.txt" },
  });
  const { file, upload } = (
    await call("POST /files", {
      token: owner,
      body: { file_name: "c.txt", file_size: 5, mime_type: "text/plain" },
    })
  ).body;
  await call("PUT /storage", {
    headers: upload.headers,
    query: `?grant=${secret(new URL(upload.url).searchParams.get("grant") ?? "")}`,
    body: "words",
  });
  await call("POST /files/:id/confirm", { token: owner, params: { id: file.id } });
  await call("DELETE /files/:id", { token: owner, params: fileParams });

  await notify({ call, token: owner });

  // The tenant is transferred, changed, suspended, resumed and deleted.
  await call("PUT /tenants/:id", { token: owner, params: { id: "acme" }, body: { name: "Acme" } });
  await call("PATCH /tenants/:id", { token: owner, params: { id: "acme" }, body: { name: "A" } });
  await call("GET /audit/export", { token: owner });
  await call("POST /tenants/:id/transfer", {
    token: owner,
    params: { id: "acme" },
    body: { user_id: joined.user_id },
  });
  await call("POST /tenants/:id/leave", { token: owner, params: { id: "acme" } });
  await call("POST /tenants", { token: founderToken, body: { key: "globex", name: "Globex" } });
  for (const route of ["POST /tenants/:id/suspend", "POST /tenants/:id/resume"]) {
    await call(route, { token: admin, params: { id: "globex" } });
  }
  const pair = { a: "acme", b: "globex" };
  await call("POST /platform/isolation/probes", { token: admin, body: pair });
  const { id: globex } = (
    await call("GET /tenants/:id", { token: admin, params: { id: "globex" } })
  ).body;
  await call("DELETE /tenants/:id", { token: admin, params: { id: "globex" } });
  await call("POST /platform/tenants/:id/restore", { token: admin, params: { id: globex } });

  await lookAfterAccount({ call, admin, email: heir });
  await call("GET /platform/audit/export", { token: admin });
  return { steps, tenants: [acme.key] };
}

/** The routes that change something, in the format of `Step.route`. */
export const changing = (routes: readonly Route[]): readonly string[] =>
  routes
    .filter(({ method }) => method !== "GET")
    .map((route) => `${route.method} ${routePath(route)}`);
