/**
 * The client for outside OpenID Connect providers (OpenID Connect Core 1.0, Discovery 1.0, RFC
 * 9700), based on `openid-client`. Beyond what that checks:
 *
 * - All requests go through `outbound`, because tenants choose the providers' addresses.
 * - The discovery document must name exactly the configured issuer, so a shared issuer
 *   (`https://…/common`) is refused: its subjects could be anybody's.
 * - ID tokens are signed with a key of the provider (RSA, ECDSA, EdDSA), never `none` or a shared
 *   secret; the signature is verified even though the token came over TLS.
 * - PKCE (S256), nonce, state, and RFC 9207's `iss` if the provider sends it.
 *
 * The document is cached for five minutes. Keys are fetched for each sign-in, so a rotation needs
 * no handling.
 */
import {
  AuthorizationResponseError,
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  ClientSecretBasic,
  ClientSecretPost,
  Configuration,
  calculatePKCECodeChallenge,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  type ServerMetadata,
} from "openid-client";
import { type AppError, defineError } from "../lib/errors.ts";
import type { TenantId } from "../lib/ids.ts";
import { createLoadingCache } from "../lib/loading-cache.ts";
import type { Secrets } from "../lib/secrets.ts";
import { type Outbound, OutboundError } from "../net/outbound.ts";

export const providerUnavailable = defineError(
  "provider_unavailable",
  503,
  "The identity provider does not respond. Try again later.",
);
export const providerFaulty = defineError(
  "provider_faulty",
  502,
  "The identity provider sent an invalid response. Ask an administrator to check its configuration.",
);
export const providerRefused = defineError(
  "provider_refused",
  403,
  "The identity provider did not sign you in. Try again, or ask your administrator.",
);

/** A provider as configured by a tenant. */
export interface OidcProvider {
  readonly tenantId: TenantId;
  readonly issuer: string;
  readonly clientId: string;
  readonly sealedSecret: string;
}

/** The unique values of one sign-in. */
export interface OidcFlow {
  readonly state: string;
  readonly nonce: string;
  /** For PKCE. */
  readonly verifier: string;
  readonly redirectUri: string;
}

/** The person's identity according to the provider. */
export interface OutsideIdentity {
  readonly issuer: string;
  readonly subject: string;
  /** The address and its verification from the same response. */
  readonly email: { readonly address: unknown; readonly verified: unknown };
  readonly claims: Readonly<Record<string, unknown>>;
}

export interface OidcClient {
  /** Encrypts a client secret, for this tenant only. */
  seal(tenantId: TenantId, secret: string): string;
  /** @returns the issuer as it names itself. @throws providerUnavailable, providerFaulty */
  discover(issuer: string): Promise<string>;
  /** The URL to send the browser to. @throws providerUnavailable, providerFaulty */
  authorizationUrl(
    provider: OidcProvider,
    flow: OidcFlow,
    asked: { readonly scopes: readonly string[]; readonly acr: readonly string[] },
  ): Promise<URL>;
  /**
   * Completes the sign-in with the callback's parameters.
   *
   * @param answer the query of the callback
   * @param wanted claims; if the ID token lacks one, UserInfo is requested
   * @throws providerRefused, providerUnavailable, providerFaulty
   */
  redeem(
    provider: OidcProvider,
    flow: OidcFlow,
    answer: URLSearchParams,
    wanted: readonly string[],
  ): Promise<OutsideIdentity>;
}

export interface OidcClientOptions {
  readonly outbound: Outbound;
  readonly secrets: Pick<Secrets, "seal" | "open">;
  /** Whether providers may be without TLS; `outbound` decides where. */
  readonly allowInsecure: boolean;
  /** For each request of a sign-in: keys, tokens, UserInfo. */
  readonly timeoutMs?: number;
}

const maxBytes = 1_000_000;
const documentsKeptMs = 300_000;

const algorithms = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

/** Binds a secret to its tenant, so it is useless in another tenant's row. */
const purposeOf = (tenantId: TenantId) => `identity-provider:${tenantId}`;

export function createOidcClient(options: OidcClientOptions): OidcClient {
  const { outbound, secrets, allowInsecure, timeoutMs = 4_000 } = options;
  const documents = createLoadingCache<ServerMetadata>({ max: 1_000, ttlMs: documentsKeptMs });

  const load = async (issuer: string): Promise<ServerMetadata> => {
    const found = await discovery(new URL(issuer), "unused", undefined, undefined, {
      [customFetch]: send,
      execute: allowInsecure ? [allowInsecureRequests] : [],
    });
    const { supportsPKCE: _helper, ...document } = found.serverMetadata();
    const supported = document.id_token_signing_alg_values_supported ?? ["RS256"];
    const usable = supported.filter((name) => algorithms.includes(name));
    if (document.issuer !== issuer && document.issuer !== `${issuer}/`) {
      throw new Error(`it names the issuer ${document.issuer}`);
    }
    if (usable.length === 0)
      throw new Error("it supports none of the accepted ID token signature algorithms");
    refuseFaulty(document, allowInsecure);
    return { ...document, id_token_signing_alg_values_supported: usable };
  };

  const send = async (
    url: string,
    { method, headers, body }: Parameters<NonNullable<Configuration[typeof customFetch]>>[1],
  ): Promise<Response> =>
    outbound(url, {
      method,
      headers,
      timeoutMs,
      maxBytes,
      ...(body && { body: await new Response(body).text() }),
    });

  const documentOf = async (issuer: string): Promise<ServerMetadata> => {
    const document = await documents.find(issuer, () => load(issuer));
    if (!document) throw new Error("loading returned no document");
    return document;
  };

  const configure = async (provider: OidcProvider): Promise<Configuration> => {
    const document = await documentOf(provider.issuer);
    const secret = secrets.open(purposeOf(provider.tenantId), provider.sealedSecret);
    // The default (OpenID Connect Discovery 1.0, section 3).
    const methods = document.token_endpoint_auth_methods_supported ?? ["client_secret_basic"];
    const authenticate = methods.includes("client_secret_basic")
      ? ClientSecretBasic(secret)
      : ClientSecretPost(secret);
    const made = new Configuration(document, provider.clientId, undefined, authenticate);
    made[customFetch] = send;
    enableNonRepudiationChecks(made);
    if (allowInsecure) allowInsecureRequests(made);
    return made;
  };

  return {
    seal: (tenantId, secret) => secrets.seal(purposeOf(tenantId), secret),

    discover: (issuer) => translated(async () => (await documentOf(issuer)).issuer),

    authorizationUrl: (provider, flow, { scopes, acr }) =>
      translated(async () =>
        buildAuthorizationUrl(await configure(provider), {
          redirect_uri: flow.redirectUri,
          scope: scopes.join(" "),
          state: flow.state,
          nonce: flow.nonce,
          code_challenge: await calculatePKCECodeChallenge(flow.verifier),
          code_challenge_method: "S256",
          ...(acr.length > 0 && { acr_values: acr.join(" ") }),
        }),
      ),

    redeem: (provider, flow, answer, wanted) =>
      translated(async () => {
        const configuration = await configure(provider);
        const callback = new URL(flow.redirectUri);
        callback.search = answer.toString();
        const tokens = await authorizationCodeGrant(configuration, callback, {
          expectedState: flow.state,
          expectedNonce: flow.nonce,
          pkceCodeVerifier: flow.verifier,
          idTokenExpected: true,
        });
        const told = tokens.claims();
        if (!told) throw new Error("the ID token is missing");
        refuseOtherAudiences(told, provider.clientId);
        if (!isSubject(told.sub)) throw new Error("its subject is not 1 to 255 ASCII characters");
        const { issuer, userinfo_endpoint: more } = configuration.serverMetadata();
        const lacking = more !== undefined && wanted.some((name) => told[name] === undefined);
        const asked = lacking
          ? await fetchUserInfo(configuration, tokens.access_token, told.sub)
          : undefined;
        const { email: address, email_verified: verified } =
          told.email === undefined ? (asked ?? {}) : told;
        return {
          issuer,
          subject: told.sub,
          email: { address, verified },
          claims: { ...asked, ...told },
        };
      }),
  };
}

/**
 * Refuses a document with which no sign-in could work. Members with a default may be absent
 * (Discovery 1.0).
 */
function refuseFaulty(document: ServerMetadata, allowInsecure: boolean): void {
  const endpoints = ["authorization_endpoint", "token_endpoint", "jwks_uri"] as const;
  for (const name of [...endpoints, "userinfo_endpoint"] as const) {
    const text: unknown = document[name];
    if (text === undefined && name === "userinfo_endpoint") continue;
    const url = typeof text === "string" && URL.canParse(text) ? new URL(text) : undefined;
    const secure = url?.protocol === "https:" || (allowInsecure && url?.protocol === "http:");
    if (!url || !secure || url.username || url.password) {
      throw new Error(`its ${name} is not a usable URL`);
    }
  }
  const needed = {
    response_types_supported: ["code"],
    code_challenge_methods_supported: ["S256"],
    token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
  };
  for (const [name, ours] of Object.entries(needed)) {
    const theirs: unknown = document[name];
    if (theirs === undefined) continue;
    if (!Array.isArray(theirs) || !ours.some((one) => theirs.includes(one))) {
      throw new Error(`its ${name} includes none of ${ours.join(", ")}`);
    }
  }
}

/**
 * OpenID Connect Core 1.0, section 3.1.3.7, steps 3 to 5: another audience could have passed the
 * token on.
 */
function refuseOtherAudiences(
  { aud, azp }: { readonly aud: string | string[]; readonly azp?: unknown },
  ours: string,
): void {
  if ([aud].flat().length !== 1) throw new Error("its ID token has several audiences");
  if (azp !== undefined && azp !== ours)
    throw new Error("its ID token was issued to another client (azp)");
}

/** OpenID Connect Core 1.0, section 2: "It MUST NOT exceed 255 ASCII characters in length." */
const isSubject = (sub: string): boolean => /^[\x20-\x7e]{1,255}$/.test(sub) && sub.trim() !== "";

/** Translates to the error that clients see; the cause goes to the log. */
async function translated<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    throw errorFor(cause);
  }
}

function errorFor(cause: unknown): AppError {
  if (cause instanceof AuthorizationResponseError) return providerRefused({ cause });
  const away = [...causesOf(cause)].some(
    (error) =>
      (error instanceof OutboundError && ["unreachable", "timeout"].includes(error.failure)) ||
      (error instanceof Response && error.status >= 500),
  );
  return away
    ? providerUnavailable({ cause, headers: { "retry-after": "30" } })
    : providerFaulty({ cause });
}

function* causesOf(error: unknown): Generator<unknown> {
  // A bound against cycles; deeper than any library nests causes.
  for (let depth = 0, at = error; at !== undefined && depth < 10; depth += 1) {
    yield at;
    at = typeof at === "object" && at !== null && "cause" in at ? at.cause : undefined;
  }
}
