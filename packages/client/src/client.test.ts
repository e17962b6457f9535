/** The client against a listening server, through a proxy that drops what it is told to. */
import type { App } from "insulae";
import { createTestApp } from "insulae/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type FaultyProxy, startProxy } from "./faulty-proxy-fixture.ts";
import { ApiError, createClient, inMemory, inStorage, type LogLine, type Tokens } from "./index.ts";

const password = "a-Fine-passphrase-7";
let app: App;
let proxy: FaultyProxy;
/** An account that owns both tenants. */
const ada = { email: "ada@example.com", password };

beforeAll(async () => {
  proxy = await startProxy();
  app = await createTestApp({ config: { baseUrl: proxy.url } });
  proxy.to(await app.listen({ port: 0 }));
  const account = createClient({ baseUrl: proxy.url });
  await account.post("/auth/register", { body: ada });
  for (const key of ["acme", "globex"]) {
    await account.post("/tenants", { body: { key, name: key } });
  }
});
afterAll(async () => {
  await proxy?.close();
  await app?.close();
});
beforeEach(() => proxy.forget());

/** A client signed in as the owner of acme. */
async function owner(options: Partial<Parameters<typeof createClient>[0]> = {}) {
  const client = createClient({ baseUrl: proxy.url, ...options });
  await client.signIn(ada);
  await client.post("/auth/switch", { body: { tenant: "acme" } });
  proxy.forget();
  return client;
}

/** Like `localStorage`, for any number of tabs. */
function webStorage() {
  const kept = new Map<string, string>();
  return {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => void kept.set(name, value),
    removeItem: (name: string) => void kept.delete(name),
    change: (changes: Partial<Tokens>) => {
      const tokens = JSON.parse(kept.get("insulae") ?? "{}");
      kept.set("insulae", JSON.stringify({ ...tokens, ...changes }));
    },
    size: () => kept.size,
  };
}

/** A moment that the test decides. */
function gate() {
  const { promise: until, resolve: release } = Promise.withResolvers<void>();
  return { until, release };
}

const refreshes = () => proxy.count("POST /api/v1/auth/refresh");

describe("calls", () => {
  it("return the response, and iterate over all pages of a list", async () => {
    const client = await owner();
    const names = ["Grace", "Edsger", "Barbara"];
    for (const name of names) await client.post("/contacts", { body: { name, company: "pages" } });
    const found: string[] = [];
    const query = { q: "pages", limit: 1 };
    for await (const contact of client.each("/contacts", { params: { query } })) {
      found.push(contact.name);
    }
    expect(found.sort()).toEqual(names.toSorted());
    expect(proxy.count("GET /api/v1/contacts")).toBe(3);
  });

  it("throw an error with everything that the server says", async () => {
    const client = await owner();
    const refused = client.post("/contacts", { body: { name: "" } });
    const error = await refused.catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({
      status: 400,
      code: "validation_failed",
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      problem: {
        errors: expect.arrayContaining([{ pointer: "/body/name", message: expect.any(String) }]),
      },
    });
  });

  it("are refused if the resource was changed meanwhile", async () => {
    const [one, other] = [await owner(), await owner()];
    const { id } = await one.post("/contacts", { body: { name: "Ada" } });
    const params = { path: { id } };
    const read = await one.get("/contacts/{id}", { params });
    await other.patch("/contacts/{id}", { params, body: { name: "Ada Lovelace" } });
    const change = one.patch("/contacts/{id}", { params, body: { name: "A" }, ifMatch: read });
    await expect(change).rejects.toMatchObject({ code: "precondition_failed" });
    const now = await one.get("/contacts/{id}", { params });
    const again = { params, body: { phone: "1" }, ifMatch: now };
    expect(await one.patch("/contacts/{id}", again)).toMatchObject({ name: "Ada Lovelace" });
    expect(await one.delete("/contacts/{id}", { params })).toBeUndefined();
  });

  it("upload and download files", async () => {
    const client = await owner();
    const file = new File(["Hello, Rome"], "hello.txt", { type: "text/plain" });
    const sent = await client.upload(file, { metadata: { album: "Rome" } });
    expect(sent).toMatchObject({ file_name: "hello.txt", metadata: { album: "Rome" } });
    const params = { path: { id: sent.id } };
    const got = await client.get("/files/{id}/download", { params, parseAs: "blob" });
    expect(await got.text()).toBe("Hello, Rome");
  });

  it("send a file as what it is", async () => {
    const client = await owner();
    const body = new Blob(["name\nAda Lovelace\n"], { type: "text/csv" });
    const report = await client.post("/contacts/import", { body: body as never });
    expect(report).toMatchObject({ imported: 1 });
  });

  it("end when the caller aborts", async () => {
    const client = await owner();
    const stop = new AbortController();
    proxy.fail("GET /api/v1/contacts", { kind: "held", until: new Promise(() => {}) });
    const waiting = client.get("/contacts", { signal: stop.signal });
    await expect.poll(() => proxy.seen.length).toBe(1);
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("a retry", () => {
  it("creates once, even if the first response is lost", async () => {
    const client = await owner();
    proxy.fail("POST /api/v1/contacts", { kind: "answer lost" });
    const { id } = await client.post("/contacts", { body: { name: "Once", company: "once" } });
    const keys = proxy.seen.map(({ headers }) => headers["idempotency-key"]);
    expect(keys).toHaveLength(2);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(keys[1]).toBe(keys[0]);
    const { items } = await client.get("/contacts", { params: { query: { q: "once" } } });
    expect(items.map((contact) => contact.id)).toEqual([id]);
    await client.post("/contacts", { body: { name: "Twice" } });
    expect(proxy.seen.at(-1)?.headers["idempotency-key"]).not.toBe(keys[0]);
  });

  it("does not happen if the request might be executed twice", async () => {
    const client = await owner();
    const { id } = await client.post("/contacts", { body: { name: "Ada" } });
    proxy.fail("PATCH ", { kind: "answer lost" });
    const params = { path: { id } };
    await expect(
      client.patch("/contacts/{id}", { params, body: { name: "B" } }),
    ).rejects.toBeInstanceOf(TypeError);
    expect(proxy.count("PATCH ")).toBe(1);
    // Its response has a secret, so the server does not store it for a retry.
    proxy.fail("POST /api/v1/api-keys", { kind: "answer lost" });
    await expect(
      client.post("/api-keys", { body: { name: "a", scopes: ["contacts:read"] } }),
    ).rejects.toBeInstanceOf(TypeError);
    expect(proxy.count("POST /api/v1/api-keys")).toBe(1);
    const code = "write_outcome_unknown";
    proxy.fail("POST /api/v1/contacts", { kind: "answer", status: 503, code });
    await expect(client.post("/contacts", { body: { name: "C" } })).rejects.toMatchObject({ code });
  });

  it("waits as long as the server says, but at most ten seconds", async () => {
    const client = await owner({ retries: 3 });
    for (const status of [429, 503, 502]) {
      const code = status === 429 ? "rate_limit_exceeded" : "unavailable";
      proxy.fail("GET /api/v1/contacts", { kind: "answer", status, code, after: 0 });
    }
    await client.get("/contacts");
    expect(proxy.count("GET ")).toBe(4);
    const later = {
      kind: "answer",
      status: 429,
      code: "rate_limit_exceeded",
      after: 3600,
    } as const;
    proxy.fail("GET /api/v1/contacts", later);
    await expect(client.get("/contacts")).rejects.toMatchObject({ retryAfter: 3_600_000 });
    // Refused before it was executed: any request may be retried.
    proxy.fail("DELETE ", { ...later, after: 0 });
    const params = { path: { id: "01900000-0000-7000-8000-000000000000" } };
    await expect(client.delete("/contacts/{id}", { params })).rejects.toMatchObject({
      status: 404,
    });
    expect(proxy.count("DELETE ")).toBe(2);
  });
});

describe("a session by tokens", () => {
  it("is refreshed once for all callers, before its token expires and after", async () => {
    const storage = webStorage();
    // Without the locks that tabs share.
    const { load, save } = inStorage(storage);
    const client = await owner({ tokens: { load, save } });
    for (const spoilt of [{ renewAt: 0 }, { accessToken: "spoilt" }]) {
      storage.change(spoilt);
      proxy.forget();
      await Promise.all([1, 2, 3, 4, 5].map(() => client.get("/contacts")));
      expect(refreshes()).toBe(1);
    }
  });

  it("does not come back by a refresh that finishes after a sign-out", async () => {
    const storage = webStorage();
    const client = await owner({ tokens: inStorage(storage) });
    storage.change({ renewAt: 0 });
    const { until, release } = gate();
    proxy.fail("POST /api/v1/auth/refresh", { kind: "held", until });
    const late = client.get("/contacts").catch((cause: unknown) => cause);
    await expect.poll(refreshes).toBe(1);
    storage.removeItem("insulae"); // in another tab
    release();
    expect(await late).toMatchObject({ name: "AbortError" });
    expect(storage.size()).toBe(0);
  });

  it("survives concurrent refreshes of several tabs, and a lost response", async () => {
    const storage = webStorage();
    const tabs = [await owner({ tokens: inStorage(storage) })];
    for (const _ of [1, 2]) {
      tabs.push(createClient({ baseUrl: proxy.url, tokens: inStorage(storage) }));
    }
    for (let round = 0; round < 3; round += 1) {
      storage.change({ renewAt: 0 });
      if (round === 1) proxy.fail("POST /api/v1/auth/refresh", { kind: "answer lost" });
      await Promise.all(tabs.map((tab) => tab.get("/contacts")));
    }
    expect(refreshes()).toBe(4);
  });

  it("ends when a refresh is refused, and only then", async () => {
    const ends: string[] = [];
    const storage = webStorage();
    const tokens = inStorage(storage);
    const client = await owner({ tokens, onSessionEnd: () => void ends.push("ended") });
    const elsewhere = await owner();
    storage.change({ renewAt: 0 });
    for (const _ of [1, 2, 3]) {
      const away = { kind: "answer", status: 503, code: "away" } as const;
      proxy.fail("POST /api/v1/auth/refresh", away);
    }
    await expect(client.get("/contacts")).rejects.toMatchObject({ code: "away" });
    expect(ends).toEqual([]);
    await client.get("/contacts");
    await elsewhere.post("/auth/logout-all");
    const refused = await Promise.allSettled([1, 2, 3].map(() => client.get("/contacts")));
    expect(refused.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect([ends, storage.size()]).toEqual([["ended"], 0]);
  });

  it("ends with signOut(), on the server too", async () => {
    const tokens = inMemory();
    const client = await owner({ tokens });
    const { accessToken } = (await tokens.load()) ?? {};
    await client.signOut();
    await expect(client.get("/contacts")).rejects.toMatchObject({
      code: "authentication_required",
    });
    const headers = { authorization: `Bearer ${accessToken}` };
    const copied = createClient({ baseUrl: proxy.url });
    await expect(copied.get("/contacts", { headers })).rejects.toMatchObject({ status: 401 });
  });
});

describe("another tenant", () => {
  it("gets other tokens and another header, and no pending request of the first", async () => {
    const client = await owner();
    await client.post("/contacts", { body: { name: "Of Acme" } });
    const { until, release } = gate();
    proxy.fail("GET /api/v1/contacts", { kind: "held", until });
    const late = client.get("/contacts").catch((cause: unknown) => cause);
    await expect.poll(() => proxy.count("GET ")).toBe(1);
    await client.post("/auth/switch", { body: { tenant: "globex" } });
    release();
    expect(await late).toMatchObject({ name: "AbortError" });
    expect((await client.get("/contacts")).items).toEqual([]);
    const tenants = proxy.seen.map(({ headers }) => headers["x-tenant"]);
    expect(tenants.at(-1)).toBe("globex");
  });

  it("is not entered because another tab has switched", async () => {
    const storage = webStorage();
    let ended = 0;
    const onSessionEnd = () => {
      ended += 1;
    };
    const tab = await owner({ tokens: inStorage(storage), onSessionEnd });
    const other = createClient({ baseUrl: proxy.url, tokens: inStorage(storage) });
    await other.post("/auth/switch", { body: { tenant: "globex" } });
    proxy.forget();
    const write = tab.post("/contacts", { body: { name: "For Acme" } });
    await expect(write).rejects.toMatchObject({ name: "AbortError" });
    expect([ended, proxy.seen]).toEqual([1, []]);
  });
});

it("a cookie session fetches its CSRF token once, and again when it changes", async () => {
  let ended = 0;
  const onSessionEnd = () => {
    ended += 1;
  };
  const options = { baseUrl: proxy.url, session: "cookie", tenant: "acme" } as const;
  const client = createClient({ ...options, onSessionEnd });
  await client.signIn(ada);
  await client.post("/contacts", { body: { name: "Baked" } });
  const reloaded = createClient(options);
  await Promise.all(
    [1, 2].map((n) => reloaded.post("/contacts", { body: { name: `Baked ${n}` } })),
  );
  expect(proxy.count("GET /api/v1/auth/me")).toBe(1);
  await reloaded.signIn(ada); // the browser's one cookie is replaced
  await client.post("/contacts", { body: { name: "Baked anew" } });
  expect(proxy.count("GET /api/v1/auth/me")).toBe(2);
  expect(proxy.seen.some(({ headers }) => headers.authorization !== undefined)).toBe(false);
  await reloaded.signOut();
  await expect(client.get("/contacts")).rejects.toMatchObject({ status: 401 });
  expect(ended).toBe(1);
});

it("the log stream continues after an interruption, and ends with the session", async () => {
  const client = await owner();
  const lines: LogLine[] = [];
  let opened = 0;
  const both = Promise.withResolvers<void>();
  const ended = client.logs((line) => lines.push(line), {
    level: "info",
    onOpen: () => {
      opened += 1;
      if (opened === 1) proxy.cutStreams();
      else both.resolve();
    },
  });
  await both.promise;
  await client.get("/contacts");
  await expect.poll(() => lines.map(({ message }) => message).join()).toContain("/api/v1/contacts");
  expect(lines[0]).toMatchObject({ level: "INFO", target: expect.stringMatching(/^insulae::/) });
  await client.signOut();
  await ended;
  const tickets = proxy.seen.filter(({ method }) => method === "UPGRADE").map(({ path }) => path);
  expect(new Set(tickets).size).toBe(2);
});

it("the log stream fails with the reason if the caller may not watch", async () => {
  const client = createClient({ baseUrl: proxy.url });
  await client.post("/auth/register", { body: { email: "bob@example.com", password } });
  await expect(client.logs(() => {})).rejects.toMatchObject({ status: 403 });
});
