import { createPrivateKey, type JsonWebKey, sign } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { openTestProvider, visit } from "./provider-fixture.ts";
import { signInTools } from "./sign-in-fixture.ts";

let people: TestPeople;
let tools: ReturnType<typeof signInTools>;
beforeAll(async () => {
  people = await openTestPeople();
  tools = signInTools(people);
});
afterAll(() => people?.close());

/** The ID token, with another header or other claims; its signature stays. */
const edited = (token: unknown, { header = {}, claims = {} }: Record<string, object>) => {
  const [head = "", body = "", signature] = String(token).split(".");
  const merge = (part: string, more: object) =>
    Buffer.from(
      JSON.stringify({ ...JSON.parse(Buffer.from(part, "base64url").toString()), ...more }),
    ).toString("base64url");
  return `${merge(head, header)}.${merge(body, claims)}.${signature}`;
};

/** The same, signed by the provider. */
const resigned = (token: unknown, key: JsonWebKey, claims: object) => {
  const content = edited(token, { claims }).replace(/\.[^.]*$/, "");
  const signature = sign("sha256", Buffer.from(content), createPrivateKey({ key, format: "jwk" }));
  return `${content}.${signature.toString("base64url")}`;
};

it.each([
  ["for us alone is accepted", { aud: ["insulae"], azp: "insulae" }, null],
  [
    "for another client too is refused",
    { aud: ["insulae", "x"], azp: "insulae" },
    "provider_faulty",
  ],
  ["issued to another client is refused", { azp: "x" }, "provider_faulty"],
  ["whose client is a list is refused", { azp: ["insulae"] }, "provider_faulty"],
])("a signed ID token %s", async (_, claims, error) => {
  const at = await tools.configure();
  at.provider.editTokens = ({ id_token, ...answer }) => ({
    ...answer,
    id_token: resigned(id_token, at.provider.key as JsonWebKey, claims), // as it was made
  });
  expect((await tools.signIn(at)).error).toBe(error);
});

describe("what a provider answers is refused", () => {
  it.each([
    ["another nonce", { claims: { nonce: "another" } }],
    ["another audience", { claims: { aud: "somebody-else" } }],
    ["another issuer", { claims: { iss: "https://issuer.example" } }],
    ["a time that has passed", { claims: { exp: 1_000_000_000 } }],
    ["another subject, under the same signature", { claims: { sub: "the-owner" } }],
    ["an e-mail that was added, under the same signature", { claims: { email: "a@b.example" } }],
    ["alg none", { header: { alg: "none" } }],
    ["alg HS256", { header: { alg: "HS256" } }],
    ["the key of somebody else", { header: { kid: "another" } }],
  ])("with %s", async (_, edit) => {
    const at = await tools.configure();
    at.provider.editTokens = (answer) => ({
      ...answer,
      id_token: edited(answer.id_token, edit as Record<string, object>), // its two parts
    });
    expect(await tools.signIn(at)).toMatchObject({ error: "provider_faulty" });
    const last = (await tools.auditOf(at)).at(-1);
    expect(last).toMatchObject({
      action: "auth.login_failed",
      outcome: "failed",
      detail: { reason: "provider_faulty" },
    });
  });

  it.each([
    ["blanks", " "],
    ["more than 255 characters", "x".repeat(256)],
    ["characters that are not ASCII", "jörg"],
  ])("with a subject of %s, which could be somebody else's", async (_, sub) => {
    const at = await tools.configure();
    at.provider.person = { ...at.provider.person, sub };
    expect(await tools.signIn(at)).toMatchObject({ error: "provider_faulty" });
  });

  it.each([
    ["an endpoint that is no address", { token_endpoint: "nowhere" }],
    ["an endpoint that runs a script", { authorization_endpoint: "javascript:alert(1)" }],
    ["no way to ask for a code", { response_types_supported: ["id_token"] }],
    ["no PKCE that we use", { code_challenge_methods_supported: ["plain"] }],
    ["no way for us to authenticate", { token_endpoint_auth_methods_supported: ["none"] }],
  ])("in its document, with %s, when it is configured", async (_, faults) => {
    const at = await tools.configure();
    const other = await openTestProvider();
    onTestFinished(other.close);
    const document = await fetch(`${other.issuer}/.well-known/openid-configuration`);
    const faulty = { ...((await document.json()) as object), ...faults }; // it is JSON
    other.instead = (_, response) =>
      response.setHeader("content-type", "application/json").end(JSON.stringify(faulty));
    const refused = await tools.add({ ...at, provider: other }).catch(String);
    expect(refused).toContain("issuer_unusable");
  });

  it("made for another sign-in: its nonce is not this one's", async () => {
    const at = await tools.configure();
    const { location, cookie } = await tools.begin(at);
    const other = new URL(location);
    other.searchParams.set("nonce", "of-another-sign-in");
    const back = await visit(at.provider, other.href);
    expect((await tools.finish(back, cookie)).error).toBe("provider_faulty");
  });

  it("with a code that was made for another sign-in: PKCE's verifier is not this one's", async () => {
    const at = await tools.configure();
    const { location, cookie } = await tools.begin(at);
    const other = new URL(location);
    other.searchParams.set(
      "code_challenge",
      new URL((await tools.begin(at)).location).searchParams.get("code_challenge") ?? "",
    );
    const back = await visit(at.provider, other.href);
    expect((await tools.finish(back, cookie)).error).toBe("provider_faulty");
  });

  it("without a signature, or without an ID token", async () => {
    const at = await tools.configure();
    at.provider.editTokens = (answer) => ({
      ...answer,
      id_token: edited(answer.id_token, { header: { alg: "none" } }).replace(/[^.]*$/, ""),
    });
    expect(await tools.signIn(at)).toMatchObject({ error: "provider_faulty" });
    at.provider.editTokens = ({ id_token, ...answer }) => answer;
    expect(await tools.signIn(at)).toMatchObject({ error: "provider_faulty" });
  });

  it("from another provider than the one that was asked (mix-up)", async () => {
    const honest = await tools.configure();
    const evil = await openTestProvider();
    try {
      const id = await tools.add({ ...honest, provider: evil });
      // The browser goes to the evil one, which sends it on to the honest one with this state.
      const { location, cookie } = await tools.begin({ ...honest, id });
      const detour = new URL(new URL(location).search, `${honest.provider.issuer}/auth`);
      const back = await visit(honest.provider, detour.href);
      const asked = evil.asked.length;
      // By the `iss` that the honest one has put there (RFC 9207) …
      expect((await tools.finish(back, cookie)).error).toBe("provider_faulty");
      // … and where it has none, by the address, which has to be the honest one's to get there.
      const again = await tools.begin({ ...honest, id }, { cookie });
      const bare = new URL(back.href.replace(id, honest.id));
      bare.searchParams.delete("iss");
      bare.searchParams.set("state", new URL(again.location).searchParams.get("state") ?? "");
      expect((await tools.finish(bare, cookie)).error).toBe("invalid_state");
      expect(evil.asked.length).toBe(asked);
    } finally {
      await evil.close();
    }
  });

  it("when it says no", async () => {
    const at = await tools.configure();
    const { location, cookie } = await tools.begin(at);
    const denied = new URL(new URL(location).searchParams.get("redirect_uri") ?? "");
    denied.searchParams.set("state", new URL(location).searchParams.get("state") ?? "");
    denied.searchParams.set("error", "access_denied");
    denied.searchParams.set("iss", at.provider.issuer);
    expect((await tools.finish(denied, cookie)).error).toBe("provider_refused");
  });
});

describe("a provider", () => {
  it("may rotate its keys at any time", async () => {
    const at = await tools.configure();
    expect((await tools.signIn(at)).error).toBeNull();
    at.provider.rotateKeys();
    expect((await tools.signIn(at)).error).toBeNull();
  });

  it("that is down is 503, at the start and when the browser comes back", async () => {
    const at = await tools.configure();
    const { location, cookie } = await tools.begin(at);
    const back = await visit(at.provider, location);
    at.provider.instead = (_, response) => response.writeHead(500).end("no");
    expect((await tools.finish(back, cookie)).error).toBe("provider_unavailable");
    at.provider.instead = (request) => request.socket.destroy();
    const again = await tools.begin(at);
    const url = new URL(back);
    url.searchParams.set("state", new URL(again.location).searchParams.get("state") ?? "");
    expect((await tools.finish(url, again.cookie)).error).toBe("provider_unavailable");
    const other = await tools.configure();
    await other.provider.close();
    const node = await people.openNode();
    try {
      // Another node has not kept its document.
      const { searchParams } = new URL(location);
      const challenge = searchParams.get("code_challenge") ?? "";
      const query = new URLSearchParams({
        return_to: tools.returnTo,
        code_challenge: challenge,
        tenant: other.tenant.key,
      });
      const answer = await node.inject({ url: `/api/v1/auth/oidc/${other.id}/start?${query}` });
      expect(answer.statusCode).toBe(503);
      expect(answer.json().code).toBe("provider_unavailable");
      expect(answer.headers["retry-after"]).toBe("30");
    } finally {
      await node.close();
    }
  });

  it("that redirects, or answers without end, is 502", async () => {
    const at = await tools.configure();
    for (const instead of [
      { status: 302, headers: { location: "http://169.254.169.254/" }, body: "" },
      { status: 200, headers: {}, body: "x".repeat(2_000_000) },
    ]) {
      const { location, cookie } = await tools.begin(at);
      at.provider.instead = undefined;
      const back = await visit(at.provider, location);
      at.provider.instead = (_, response) =>
        response.writeHead(instead.status, instead.headers).end(instead.body);
      expect((await tools.finish(back, cookie)).error).toBe("provider_faulty");
    }
  });
});
