import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { visit } from "./provider-fixture.ts";
import { signInTools } from "./sign-in-fixture.ts";

let people: TestPeople;
let tools: ReturnType<typeof signInTools>;
beforeAll(async () => {
  people = await openTestPeople();
  tools = signInTools(people);
});
afterAll(() => people?.close());

describe("signing in with an outside provider", () => {
  it.each([
    ["asked for at UserInfo", false],
    ["in the ID token", true],
  ])("makes somebody new a user and signs them in, their e-mail %s", async (_, inToken) => {
    const at = await tools.configure({}, inToken);
    const { person } = at.provider;
    const page = await tools.reachPage(at);
    expect(page.status).toBe(302);
    expect(page.next?.href.split("&code=")[0]).toBe(tools.returnTo);
    const { status, body } = await tools.exchange(page.code, page.verifier);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      user: { email: person.email, email_verified: true, role: "user", first_name: "Ada" },
      tenant: { id: at.tenant.id },
      token_type: "bearer",
      refresh_token: expect.any(String),
    });
    const me = await people.get("/api/v1/auth/me", { token: body.token });
    expect(me.body.user.email).toBe(person.email);
    expect((await tools.auditOf(at)).map(({ action }) => action)).toEqual([
      ...["auth.logged_in", "identity_provider.created", "user.created", "auth.logged_in"],
    ]);
  });

  it("knows them again by their subject, whatever their e-mail is then", async () => {
    const at = await tools.configure();
    const first = await tools.signIn(at);
    at.provider.person = { ...at.provider.person, email: people.newEmail() };
    const second = await tools.signIn(at);
    expect(second.body.user.id).toBe(first.body.user.id);
    expect(second.body.user.email).toBe(first.body.user.email);
  });

  it("signs one person in on two devices at once", async () => {
    const at = await tools.configure();
    await tools.signIn(at);
    const pages = [await tools.reachPage(at), await tools.reachPage(at)];
    for (const page of pages) {
      expect((await tools.exchange(page.code, page.verifier)).status).toBe(200);
    }
  });

  it("lets in one person who comes for the first time on ten devices at once", async () => {
    const at = await tools.configure();
    const backs = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const { location, cookie } = await tools.begin(at);
        return { back: await visit(at.provider, location), cookie };
      }),
    );
    const outcomes = await Promise.all(backs.map(({ back, cookie }) => tools.finish(back, cookie)));
    expect(outcomes.map(({ error }) => error)).toEqual(outcomes.map(() => null));
  });

  it("gives a cookie instead of tokens to a page that asks for one", async () => {
    const page = await tools.reachPage(await tools.configure());
    const reply = await tools.exchange(page.code, page.verifier, { session: "cookie" });
    expect(reply.body).toMatchObject({ csrf_token: expect.any(String) });
    expect(reply.body).not.toHaveProperty("token");
    expect(String(reply.headers["set-cookie"])).toMatch(/^__Host-insulae=.*HttpOnly/);
  });

  it("works at a host of the tenant, without naming it", async () => {
    const at = await tools.configure();
    const host = `${at.tenant.slug}.localhost`;
    const { location, cookie } = await tools.begin(at, { host });
    const back = await visit(at.provider, location);
    expect(back.hostname).toBe(host);
    expect((await tools.finish(back, cookie)).code).not.toBe("");
  });

  it("works in two tabs of one browser at once", async () => {
    const at = await tools.configure();
    const one = await tools.begin(at);
    const two = await tools.begin(at, { cookie: one.cookie });
    for (const { location } of [one, two]) {
      const back = await visit(at.provider, location);
      expect((await tools.finish(back, two.cookie)).error).toBeNull();
    }
  });

  it("makes one user of two first sign-ins at once", async () => {
    const at = await tools.configure();
    const [one, two] = await Promise.all([tools.reachPage(at), tools.reachPage(at)]);
    expect([one.error, two.error]).toEqual([null, null]);
    const users = await people.onTenant(at.tenant, (db) =>
      db.query("select from users where email = $1", [at.provider.person.email]),
    );
    expect(users).toHaveLength(1);
  });

  it("is offered by name to whoever is about to log in, and only while it is enabled", async () => {
    const at = await tools.configure();
    const off = await tools.add(at, { enabled: false });
    const { body } = await people.get(`/api/v1/auth/oidc?tenant=${at.tenant.key}`);
    expect(body).toEqual({ items: [{ id: at.id, name: "Work" }] });
    const { answer } = await tools.start({ ...at, id: off });
    expect(answer.json().code).toBe("identity_provider_not_found");
  });
});

describe("a sign-in that was begun", () => {
  it("ends in the browser that began it, and in no other (login CSRF)", async () => {
    const at = await tools.configure();
    const mine = await tools.begin(at);
    const another = await tools.begin(at);
    for (const cookie of [undefined, another.cookie, `${mine.cookie}; ${mine.cookie}`]) {
      const { location } = await tools.begin(at, { cookie: mine.cookie });
      const back = await visit(at.provider, location);
      expect((await tools.finish(back, cookie)).error).toBe("invalid_state");
    }
    expect(at.provider.asked).not.toContain("/token");
    expect((await tools.auditOf(at)).at(-1)).toMatchObject({
      action: "auth.login_failed",
      outcome: "failed",
      detail: { reason: "invalid_state" },
    });
  });

  it("ends once: its state, its code and the page's code are each good once", async () => {
    const at = await tools.configure();
    const { location, cookie, verifier } = await tools.begin(at);
    const back = await visit(at.provider, location);
    const first = await tools.finish(back, cookie);
    expect(first.error).toBeNull();
    expect((await tools.finish(back, cookie)).error).toBe("invalid_state");
    // The provider's code, with a state that is fresh.
    const again = await tools.begin(at, { cookie });
    const replayed = new URL(back);
    const { searchParams } = new URL(again.location);
    replayed.searchParams.set("state", searchParams.get("state") ?? "");
    expect((await tools.finish(replayed, cookie)).error).toBe("provider_faulty");
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => tools.exchange(first.code, verifier)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400]);
  });

  it("ends for the page that began it: without its secret, the code is nothing", async () => {
    const at = await tools.configure();
    const mine = await tools.reachPage(at);
    const theirs = await tools.begin(at);
    const stolen = await tools.exchange(mine.code, theirs.verifier);
    expect(stolen).toMatchObject({ status: 400, body: { code: "invalid_code" } });
    expect((await tools.auditOf(at)).at(-1)).toMatchObject({
      action: "auth.login_failed",
      detail: { reason: "invalid_code" },
    });
  });

  it("is over after ten minutes, and its code after one", async () => {
    const at = await tools.configure();
    const expire = (purpose: string) =>
      people.onPlatform(({ control }) =>
        control
          .updateTable("control.one_time_tokens")
          .set({ expires_at: new Date(0) })
          .where("purpose", "=", purpose)
          .execute(),
      );
    const { location, cookie } = await tools.begin(at);
    const back = await visit(at.provider, location);
    await expire("oidc-state");
    expect((await tools.finish(back, cookie)).error).toBe("invalid_state");
    const page = await tools.reachPage(at);
    await expire("oidc-code");
    expect((await tools.exchange(page.code, page.verifier)).status).toBe(400);
  });

  it("belongs to its tenant: nowhere else does it go on", async () => {
    const [a, b] = await Promise.all([tools.configure(), tools.configure()]);
    const { location, cookie } = await tools.begin(a);
    const back = await visit(a.provider, location);
    const host = `${b.tenant.slug}.localhost`;
    expect((await tools.finish(back, cookie, host)).error).toBe("invalid_state");
    const { answer } = await tools.start({ tenant: b.tenant, id: a.id });
    expect(answer.json().code).toBe("identity_provider_not_found");
    const page = await tools.reachPage(a);
    const elsewhere = await people.post("/api/v1/auth/oidc/exchange", {
      tenant: b.tenant.key,
      body: { code: page.code, code_verifier: page.verifier },
    });
    expect(elsewhere.body.code).toBe("invalid_code");
  });

  it("does not go on when the tenant is suspended meanwhile, nor is one begun", async () => {
    const at = await tools.configure();
    const { location, cookie } = await tools.begin(at);
    const back = await visit(at.provider, location);
    const page = await tools.reachPage(at);
    await people.suspend(at.tenant);
    expect((await tools.finish(back, cookie)).error).toBe("invalid_state");
    expect((await tools.exchange(page.code, page.verifier)).status).toBe(400);
    const { answer } = await tools.start(at);
    expect(answer.json().code).toBe("identity_provider_not_found");
  });

  it("does not go on for a user who is switched off or logged out everywhere meanwhile", async () => {
    const at = await tools.configure();
    for (const change of ["is_active = false", "sessions_valid_from = now() + interval '1 hour'"]) {
      at.provider.person = tools.newPerson();
      const page = await tools.reachPage(at);
      await people.onTenant(at.tenant, (db) =>
        db.query(`update users set ${change} where email = $1`, [at.provider.person.email]),
      );
      expect((await tools.exchange(page.code, page.verifier)).body.code).toBe("invalid_code");
    }
  });

  it.each([
    "https://evil.example/",
    "//evil.example/",
    "javascript:alert(1)",
    "blob:http://localhost:0/0b6c1f3e-0000-4000-8000-000000000000",
    "http://localhost.evil.example/",
    "http://localhost@evil.example/",
    "http://localhost:0@evil.example/",
    "http://evil.example\\@localhost:0/",
    "/welcome",
    "",
  ])("does not lead to %s afterwards (open redirect)", async (return_to) => {
    const { answer } = await tools.start(await tools.configure(), { query: { return_to } });
    expect(answer.statusCode).toBe(400);
    expect(answer.headers.location).toBeUndefined();
    expect(answer.json().code).toBe("return_refused");
  });

  it("leads back to the tenant's hosts and to origins that CORS allows", async () => {
    const at = await tools.configure();
    const { port } = new URL(people.app.config.baseUrl);
    const start = async (return_to: string) =>
      (await tools.start(at, { query: { return_to } })).answer.statusCode;
    expect(await start(`http://${at.tenant.slug}.localhost${port && `:${port}`}/x`)).toBe(302);
    expect(await start("https://app.acme.example/x")).toBe(400);
    await people.patch(`/api/v1/tenants/${at.tenant.id}`, {
      token: at.owner.token,
      body: { settings: { cors_origins: ["https://app.acme.example"] } },
    });
    expect(await start("https://app.acme.example/x")).toBe(302);
  });
});
