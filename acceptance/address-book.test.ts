/**
 * An address book with live logs: its document from top to bottom, with its command lines and
 * clients verbatim.
 *
 * Long because the document is: its programs are included in full, and one server serves all of
 * them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { on, once } from "node:events";
import { readFile } from "node:fs/promises";
import type { Server } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { browserPath, launchBrowser, portOf, postJson, servePage } from "./chromium.ts";
import { type Client, clientOf } from "./client.ts";
import {
  adminEmail,
  adminPassword,
  freePort,
  type StartedServer,
  startServer,
  temporaryFolder,
} from "./server.ts";
import { claimsOf, handshake, shellAt } from "./verbatim.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let page: Server;
let ports: { readonly main: number; readonly logs: number };
let server: StartedServer;
let client: Client;
let token: string;
const password = "MyS3cur3P@ssw0rd!";

const start = (env: Readonly<Record<string, string>> = {}) =>
  startServer({
    dataDir: folder.path,
    port: ports.main,
    env: {
      RATE_LIMIT_CREDENTIALS: "0",
      RATE_LIMIT_ANONYMOUS: "0",
      APP_WS_PORT: String(ports.logs),
      // Its environment without database and addresses.
      MAX_AGE: "604800",
      LOG_FILE: `${folder.path}/logs/app.log`,
      CORS_ORIGINS: `http://localhost:3000,http://localhost:4321,http://localhost:${portOf(page)}`,
      CORS_CREDENTIALS: "true",
      RUST_LOG: "rcs::services::auth=debug,rcs::api::health_controller=info,info",
      ...env,
    },
  });

beforeAll(async () => {
  folder = await temporaryFolder();
  page = await servePage();
  ports = { main: await freePort(), logs: await freePort() };
  server = await start();
  client = clientOf(server.url);
  await client("POST", "/tenants", { body: { id: "demo_tenant", name: "Demo" } });
});

afterAll(async () => {
  page?.close();
  await server?.stop();
  await folder?.remove();
});

const shell = (lines: readonly string[], variables?: Readonly<Record<string, string>>) =>
  shellAt(server.url)(lines, variables);
const signUp = (body: object) => client("POST", "/api/auth/signup", { body });
const logIn = (username_or_email: string, secret = password) =>
  client("POST", "/api/auth/login", { body: { username_or_email, password: secret } });
const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

describe("its command lines", () => {
  test("sign up, log in, manage contacts", () => {
    const [signedUp = "", , empty = "", added = "", listed = "", shown = ""] = shell([
      `# Register a new user (tenant context derived server-side)
curl -X POST http://localhost:8000/api/auth/signup \\
  -H "Content-Type: application/json" \\
  -d '{
    "username": "admin",
    "email": "admin@tenant1.com",
    "password": "MyS3cur3P@ssw0rd!"
  }'`,
      `# Login and capture JWT token (tenant context derived server-side)
TOKEN=$(curl -X POST http://localhost:8000/api/auth/login \\
  -H "Content-Type: application/json" \\
  -d '{
    "username_or_email": "admin",
    "password": "MyS3cur3P@ssw0rd!"
  }' | jq -r '.token')`,
      `curl -X GET http://localhost:8000/api/address-book \\
  -H "Authorization: Bearer $TOKEN"`,
      `# Create a new contact (using captured JWT token)
curl -X POST http://localhost:8000/api/address-book \\
  -H "Authorization: Bearer $TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "John Doe",
    "email": "john@example.com",
    "phone": "+1234567890"
  }'`,
      `curl -X GET http://localhost:8000/api/address-book \\
  -H "Authorization: Bearer $TOKEN"`,
      "echo $TOKEN",
    ]);
    expect(JSON.parse(signedUp).user).toEqual({ username: "admin", email: "admin@tenant1.com" });
    expect(JSON.parse(empty).contacts).toEqual([]);
    const contact = { name: "John Doe", email: "john@example.com", phone: "+1234567890" };
    expect(JSON.parse(added)).toMatchObject({ id: uuid, tenant_id: "demo_tenant", ...contact });
    expect(JSON.parse(listed).contacts).toEqual([JSON.parse(added)]);
    token = shown;
    const { exp, iat, tenant_id } = claimsOf(token);
    expect([exp - iat, tenant_id]).toEqual([604_800, "demo_tenant"]);
  });

  test("are refused with its error texts", async () => {
    await client("POST", "/tenants", { body: { id: "tenant2", name: "Two" } });
    const other = await client("POST", "/auth/register", {
      tenant: "tenant2",
      body: { email: "eve@tenant2.com", password },
    });
    const replies = shell(
      [
        "curl -X GET http://localhost:8000/api/address-book  # 401: Missing JWT",
        `curl -X GET http://localhost:8000/api/address-book \\
  -H "Authorization: Bearer invalid_token"  # 401: Invalid JWT`,
        `curl -X GET http://localhost:8000/api/address-book \\
  -H "Authorization: Bearer $OTHER_TENANT_TOKEN"  # 403: Tenant mismatch`,
        "curl -s -o /dev/null -w '%{http_code}' http://localhost:8000/api/address-book",
        `curl -s -o /dev/null -w '%{http_code}' http://localhost:8000/api/address-book \\
  -H "Authorization: Bearer $OTHER_TENANT_TOKEN"`,
      ],
      { OTHER_TENANT_TOKEN: other.body.access_token },
    );
    expect(replies).toEqual([
      '{"status":401,"error":"Unauthorized","message":"Missing authorization header"}',
      '{"status":401,"error":"Unauthorized","message":"Invalid token"}',
      '{"status":403,"error":"Forbidden","message":"Tenant access denied"}',
      "401",
      "403",
    ]);
  });

  test("use the host's tenant, and are refused if their body names another", async () => {
    const [status = ""] = shell([
      `curl -s -X POST http://localhost:8000/api/auth/login -H "Host: tenant2.localhost" \\
  -H "Content-Type: application/json" \\
  -d '{"username_or_email": "admin", "password": "${password}", "tenant_id": "demo_tenant"}' \\
  -o /dev/null -w '%{http_code}'`,
    ]);
    expect(status).toBe("403");
    const named = (tenant_id: string) =>
      client("POST", "/api/auth/login", {
        body: { username_or_email: "admin", password, tenant_id },
      });
    expect((await named("tenant2")).status).toBe(403);
    const { body: reply } = await named("demo_tenant");
    expect(claimsOf(reply.token).tenant_id).toBe("demo_tenant");
  });
});

test("a person signs up once, and logs in by username or e-mail", async () => {
  const person = { username: "grace", email: "grace@tenant1.com", password };
  expect((await signUp(person)).status).toBe(201);
  for (const same of [person, { ...person, username: "other" }, { ...person, email: "o@x.com" }]) {
    expect(await signUp(same)).toMatchObject({ status: 400, body: { error: "Bad Request" } });
  }
  for (const name of ["grace", "grace@tenant1.com"]) {
    expect(await logIn(name)).toMatchObject({ status: 200, body: { token: expect.any(String) } });
  }
  const [wrong, unknown] = [await logIn("grace", "wrong"), await logIn("nobody", "wrong")];
  expect([wrong.status, wrong.body]).toEqual([unknown.status, unknown.body]);
  expect(wrong.status).toBe(401);
});

test("a contact is added, changed and deleted, and an invalid one changes nothing", async () => {
  const contact = { name: "Ada", email: "ada@example.com", phone: "+4412345" };
  const made = await client("POST", "/api/address-book", { token, body: contact });
  expect([made.status, made.body]).toMatchObject([201, { id: uuid, ...contact }]);
  const listed = async () => (await client("GET", "/api/address-book", { token })).body.contacts;
  const before = await listed();

  const { email: _email, ...withoutEmail } = contact;
  for (const body of [withoutEmail, {}, { ...contact, name: "" }, { ...contact, phone: 1 }, []]) {
    const refused = await client("POST", "/api/address-book", { token, body });
    expect(refused.body).toMatchObject({ status: 400, error: "Bad Request" });
  }
  expect(await listed()).toEqual(before);

  const path = `/api/address-book/${made.body.id}`;
  const changes = { ...contact, name: "Ada Lovelace" };
  expect((await client("PUT", path, { token, body: changes })).body).toMatchObject(changes);
  expect((await client("GET", path, { token })).body).toMatchObject(changes);
  expect((await client("DELETE", path, { token })).status).toBe(200);
  expect((await client("GET", path, { token })).body).toMatchObject({ status: 404 });
});

test("it reports that it is healthy, pong, and that the log's old address is gone", async () => {
  expect((await client("GET", "/health")).status).toBe(200);
  expect((await client("GET", "/api/ping")).body).toEqual({ message: "pong" });
  const [gone = ""] = shell(["curl http://localhost:8000/api/logs"]);
  expect(JSON.parse(gone)).toEqual({
    status: 410,
    error: "Gone",
    message: expect.stringContaining("v0.2.0"),
    websocket_url: `${server.url.replace("http", "ws")}/api/ws/logs`,
  });
});

const stream = () => `ws://localhost:${ports.logs}/logs`;
const bearer = (shown: string) => ({ Authorization: `Bearer ${shown}` });
const someLine = /\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] [A-Z]+ \[[\w:]+\] .+/;

/** The output of `say` once it has a line; requests are sent until then. */
const untilLine = (say: () => string, line = /Log: \[/) =>
  expect
    .poll(
      async () => {
        await client("GET", "/api/address-book", { token });
        return say();
      },
      { timeout: 20_000 },
    )
    .toMatch(line);

describe("the log stream", () => {
  test("works with its program for Node", async () => {
    const program = `
const WebSocket = require('ws');

const token = 'your-jwt-token-here';
const url = 'ws://localhost:9000/logs';

const ws = new WebSocket(url, {
    headers: {
        'Authorization': \`Bearer \${token}\`
    }
});

ws.on('open', () => {
    console.log('Connected to log stream');
});

ws.on('message', (data) => {
    console.log('Log:', data);
});

ws.on('error', (error) => {
    console.error('WebSocket error:', error);
});

ws.on('close', () => {
    console.log('Disconnected from log stream');
});
`;
    let output = "";
    const child = runNode(filledIn(program));
    child.stdout?.on("data", (text) => {
      output += text;
    });
    // Since version 8, `ws` returns buffers: this one begins with the time in brackets, "[2".
    await untilLine(() => output, /Connected to log stream\nLog: <Buffer 5b 32/);
    await end(child);
  });

  describe.skipIf(!browserPath)("in a browser", () => {
    const byQuery = `
const token = 'your-jwt-token-here';
const url = \`ws://localhost:9000/logs?token=\${encodeURIComponent(token)}\`;
`;
    const byCookie = `
const url = 'ws://localhost:9000/logs';
`;
    const rest = `
const ws = new WebSocket(url);

ws.onopen = () => {
    console.log('Connected to log stream');
};

ws.onmessage = (event) => {
    console.log('Log:', event.data);
};

ws.onerror = (error) => {
    console.error('WebSocket error:', error);
};

ws.onclose = () => {
    console.log('Disconnected from log stream');
};
`;
    let context: Awaited<ReturnType<typeof launchBrowser>>;
    beforeAll(async () => {
      context = await launchBrowser(`${folder.path}/browser`);
    });
    afterAll(() => context?.close());

    const openPage = async () => {
      const opened = await context.newPage();
      const said: string[] = [];
      opened.on("console", (message) => said.push(message.text()));
      await opened.goto(`http://localhost:${portOf(page)}`);
      return { opened, said };
    };

    test("works with its page and the token in the URL", async () => {
      const { opened, said } = await openPage();
      await opened.addScriptTag({ content: filledIn(byQuery + rest) });
      await untilLine(() => said.join("\n"));
      expect(said).toContain("Connected to log stream");
      await opened.close();
    });

    test("works with its page and the log-in's cookie, which no script can read", async () => {
      const { opened, said } = await openPage();
      const refused = await handshake(stream(), { origin: `http://localhost:${portOf(page)}` });
      expect(refused.status).toBe(403);
      const status = await opened.evaluate(
        async ([url, init]) => (await fetch(url, { credentials: "include", ...init })).status,
        [
          `${server.url}/api/auth/login`,
          postJson({ username_or_email: "admin", password }),
        ] as const,
      );
      expect(status).toBe(200);
      expect(await opened.evaluate("document.cookie")).toBe("");
      expect(await context.cookies(server.url)).toMatchObject([{ httpOnly: true, secure: true }]);
      await opened.addScriptTag({ content: filledIn(byCookie + rest) });
      await untilLine(() => said.join("\n"));
      await opened.close();
    });
  });

  test("sends the same lines to all viewers, at both addresses, as its document says", async () => {
    const addresses = [stream(), stream(), `${server.url.replace("http", "ws")}/api/ws/logs`];
    const viewers = addresses.map((url) => new WebSocket(url, { headers: bearer(token) }));
    await Promise.all(viewers.map((viewer) => once(viewer, "open")));
    const id = Promise.withResolvers<string>();
    const lines = Promise.all(viewers.map((viewer) => lineOf(viewer, id.promise)));
    const { headers } = await client("GET", "/api/address-book", { token });
    id.resolve(headers.get("x-request-id") ?? "");
    const [first = "", ...others] = await lines;
    expect(first).toMatch(new RegExp(`^${someLine.source}$`));
    expect(others).toEqual([first, first]);
    for (const viewer of viewers) viewer.close();
  });

  test("is refused with 403 without a valid token", async () => {
    const none = await handshake(stream());
    const wrong = await handshake(stream(), bearer("not-a-token"));
    const inAddress = await handshake(`${stream()}?token=not-a-token`);
    expect([none.status, wrong.status, inAddress.status]).toEqual([403, 403, 403]);
    for (const { text } of [none, wrong, inAddress]) expect(text).not.toContain("not-a-token");
    // Its `wscat -c ws://localhost:9000/logs` is treated the same.
    const [error] = await once(new WebSocket(stream()), "error");
    expect(String(error)).toContain("403");
  });

  test("records in the log file who connected, without tokens or passwords", async () => {
    const viewer = new WebSocket(`${stream()}?token=${token}`);
    await once(viewer, "open");
    viewer.close();
    await once(viewer, "close");
    await client("GET", "/api/address-book", { token });
    const logged = () => readFile(`${folder.path}/logs/app.log`, "utf8");
    await expect.poll(logged).toContain("/api/ws/logs");
    const text = await logged();
    for (const secret of [token, "not-a-token", password]) expect(text).not.toContain(secret);
  });
});

describe("with its settings of the log stream", () => {
  let adminToken: string;
  beforeAll(async () => {
    await server.stop();
    server = await start({
      WS_LOG_BUFFER_SIZE: "0",
      WS_LOG_FORMAT: "json",
      WS_LOGS_ADMIN_USER: "admin@example.com,user1,user2",
      CORS_ORIGINS: "",
      CORS_ALLOWED_ORIGINS: "https://app.example.com/,https://admin.example.com:443",
    });
    const body = { email: adminEmail, password: adminPassword };
    adminToken = (await client("POST", "/api/v1/auth/login", { body })).body.token;
  });

  test("WS_LOGS_ADMIN_USER admits those it names, and nobody else", async () => {
    expect((await handshake(stream(), bearer(token))).status).toBe(403);
    expect((await handshake(stream(), bearer(adminToken))).status).toBe(101);
  });

  test("CORS_ALLOWED_ORIGINS are compared exactly", async () => {
    const from = async (origin: string) =>
      (await handshake(stream(), { ...bearer(adminToken), origin })).status;
    for (const origin of [
      "https://app.example.com",
      "https://app.example.com/",
      "https://app.example.com:443",
      "https://admin.example.com",
    ]) {
      expect([origin, await from(origin)]).toEqual([origin, 101]);
    }
    for (const origin of [
      "https://evil.example",
      "https://app.example.com.evil.example",
      "http://app.example.com",
      "https://app.example.com:8443",
    ]) {
      expect([origin, await from(origin)]).toEqual([origin, 403]);
    }
    const { text } = await handshake(stream(), { ...bearer(adminToken), origin: "https://evil" });
    expect(text).not.toContain("app.example.com");
  });

  test("WS_LOG_FORMAT=json sends objects, and a slow reader learns what it missed", async () => {
    const viewer = new WebSocket(stream(), { headers: bearer(adminToken) });
    const lines: string[] = [];
    viewer.on("message", (data) => lines.push(String(data)));
    await once(viewer, "open");
    // With room for a single line, lines arriving together are too many.
    await expect
      .poll(async () => {
        const many = Array.from({ length: 10 }, () => client("GET", "/api/ping"));
        await Promise.all(many);
        return lines.join("\n");
      })
      .toContain("[WARNING]");
    viewer.close();
    for (const line of lines) {
      expect(JSON.parse(line)).toEqual({
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/),
        level: expect.stringMatching(/^[A-Z]+$/),
        target: expect.stringMatching(/^insulae::\w+$/),
        message: expect.any(String),
      });
    }
  });
});

const filledIn = (program: string) =>
  program.replace("your-jwt-token-here", token).replace("ws://localhost:9000/logs", stream());

/** In the workspace's folder, where `ws` is installed. */
const runNode = (program: string): ChildProcess =>
  spawn(process.execPath, ["--input-type=commonjs", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill();
  await ended;
}

/** The request's line, among others that the viewer gets. */
async function lineOf(viewer: WebSocket, request: Promise<string>): Promise<string> {
  for await (const [data] of on(viewer, "message")) {
    if (String(data).includes(await request)) return String(data);
  }
  throw new Error("the stream has ended");
}
