/**
 * A real OpenID Connect provider on this machine, with one signed-in person, and a browser that
 * visits it. Tests can edit its responses and take it down.
 */
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import Provider, { type Configuration, type JWK } from "oidc-provider";

export interface Person {
  sub: string;
  email?: string;
  email_verified?: unknown;
  given_name?: string | undefined;
  family_name?: string;
  name?: string;
  groups?: unknown;
}

export interface TestProvider {
  readonly issuer: string;
  /** Who is signed in there. */
  person: Person;
  /** How they authenticated. */
  proof: { amr?: string[]; acr?: string };
  /** Edits the response of the token endpoint. */
  editTokens: ((answer: Record<string, unknown>) => unknown) | undefined;
  /** Answers in place of the provider. */
  instead: RequestListener | undefined;
  /** The signing key. */
  key: JWK;
  /** The paths requested so far. */
  readonly asked: string[];
  /** Signs with a new key from now on and publishes only that one. */
  rotateKeys(): void;
  close(): Promise<void>;
}

export const testClient = { client_id: "insulae", client_secret: `a secret of ${randomUUID()}` };

const newKey = (): JWK => ({
  ...(generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
    format: "jwk",
  }) as JWK), // a key exported as JWK is one
  kid: randomUUID(),
  alg: "RS256",
  use: "sig",
});

/** @param claimsInToken whether the ID token has e-mail and groups, or userinfo must be asked */
export async function openTestProvider(claimsInToken = false): Promise<TestProvider> {
  let handle: RequestListener | undefined;
  const server = createServer((request, response) => {
    provider.asked.push(new URL(request.url ?? "/", "http://x").pathname);
    (provider.instead ?? handle)?.(request, response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  // A TCP server's address is an AddressInfo.
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;

  const provider: TestProvider = {
    issuer,
    person: { sub: randomUUID() },
    proof: {},
    editTokens: undefined,
    instead: undefined,
    key: newKey(),
    asked: [],
    rotateKeys() {
      provider.key = newKey();
      handle = handlerOf(issuer, provider, claimsInToken);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
  provider.rotateKeys();
  return provider;
}

function handlerOf(issuer: string, current: TestProvider, inToken: boolean): RequestListener {
  const configuration: Configuration = {
    clients: [
      {
        ...testClient,
        redirect_uris: ["https://unused.example/"],
        response_types: ["code"],
        grant_types: ["authorization_code"],
      },
    ],
    jwks: { keys: [current.key] },
    cookies: { keys: [randomUUID()] },
    conformIdTokenClaims: !inToken,
    acrValues: ["silver", "gold"],
    claims: {
      openid: ["sub", "groups", "acr", "amr"],
      email: ["email", "email_verified"],
      profile: ["given_name", "family_name", "name"],
    },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    findAccount: (_, accountId) => ({
      accountId,
      claims: () => ({ ...current.person, sub: accountId }),
    }),
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({
        clientId: oidc.client?.clientId,
        accountId: oidc.session?.accountId,
      });
      grant.addOIDCScope("openid email profile");
      await grant.save();
      return grant;
    },
  };
  const provider = new Provider(issuer, configuration);
  // The client's address is known only once the tenant has configured the provider.
  provider.Client.prototype.redirectUriAllowed = () => true;
  provider.use(async (context, next) => {
    await next();
    if (context.path === "/token" && current.editTokens) {
      context.body = current.editTokens(context.body as Record<string, unknown>); // the endpoint's response
    }
  });
  const answer = provider.callback();
  return (request, response) => {
    if (!request.url?.startsWith("/interaction/")) return answer(request, response);
    const login = { accountId: current.person.sub, remember: false, ...current.proof };
    return provider.interactionFinished(request, response, { login });
  };
}

/**
 * Follows redirects at the provider like a browser, until one leads back with a code or an error.
 */
export async function visit(provider: TestProvider, start: string): Promise<URL> {
  const cookies = new Map<string, string>();
  let at = new URL(start);
  for (let hops = 0; at.origin === provider.issuer; hops += 1) {
    if (hops === 20) throw new Error(`The provider sends in circles, now to ${at}`);
    const answer = await fetch(at, {
      redirect: "manual",
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
    });
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      cookies.set(name, value);
    }
    const location = answer.headers.get("location");
    if (!location) throw new Error(`${answer.status} at ${at}: ${await answer.text()}`);
    at = new URL(location, at);
  }
  return at;
}
