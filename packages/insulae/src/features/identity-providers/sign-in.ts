/**
 * Sign-in through an external OpenID Connect provider.
 *
 *     page            browser              here                       provider
 *      │ verifier ─ start?code_challenge ──►│ state, nonce, PKCE          │
 *      │                 │◄── 302, cookie ──┤                             │
 *      │                 ├──────────────────┼─── who are you? ───────────►│
 *      │                 │◄─────────────────┼──── 302 code, state ────────┤
 *      │                 ├─ callback, cookie►│── code, verifier ─────────►│
 *      │                 │                  │◄── ID token ────────────────┤
 *      │◄── 302 return_to?code=… ───────────┤ which user?                 │
 *      ├── POST exchange { code, code_verifier } ──► signIn ──► tokens or a cookie
 *
 * The `state` is a one-time token for one tenant, provider and browser. The browser's cookie holds
 * a secret from which nonce and PKCE verifier are derived, so neither is stored and nobody can
 * continue another browser's sign-in (login CSRF). The callback's address names the provider, so a
 * code is never sent to a different one (mix-up, RFC 9700, section 4.4), even where `iss` is
 * missing. The page's code is valid once, for a minute, and only with the secret that the page
 * kept: reading it in a history or log is useless.
 */
import { createHash, createHmac, randomBytes, randomUUID } from "node:crypto";
import type { TenantAudit } from "../../kernel/audit/audit.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import {
  type OidcFlow,
  type OidcProvider,
  type OutsideIdentity,
  providerRefused,
} from "../../kernel/identity/oidc.ts";
import { cookieIn } from "../../kernel/lib/cookies.ts";
import { AppError, defineError } from "../../kernel/lib/errors.ts";
import type { UserId } from "../../kernel/lib/ids.ts";
import { type Amr, authenticationMethods } from "../../kernel/model/authentication-methods.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { tenantNotFound } from "../../kernel/tenancy/errors.ts";
import { findUserSubject, type SignInContext, signIn } from "../accounts/accounts.feature.ts";
import { callbackUrl, permittedReturn } from "./addresses.ts";
import {
  findProvider,
  type IdentityTables,
  type ProviderRow,
} from "./identity-providers.queries.ts";
import { providerNotFound } from "./identity-providers.service.ts";
import { type Entry, enter } from "./linking.ts";

export const invalidState = defineError(
  "invalid_state",
  400,
  "This sign-in was started in another browser, was already finished, or took too long. Start again.",
);
export const invalidCode = defineError(
  "invalid_code",
  400,
  "The code was used, has expired, or was issued to another page. Sign in again.",
);

export const browserCookie = "__Host-insulae-oidc";
const statePurpose = "oidc-state";
const codePurpose = "oidc-code";
export const stateSeconds = 600;
const codeSeconds = 60;

/** The request of a browser that returns from the provider. */
interface ProviderSignInDeps extends Pick<SignInContext, "platform" | "request"> {
  readonly audit: TenantAudit;
}

interface Start {
  readonly providerId: string;
  readonly returnTo: string;
  /** SHA-256 of the secret that the page will present at the exchange. */
  readonly challenge: string;
}

/**
 * @returns the address to send the browser to, and the secret for its cookie
 * @throws providerNotFound, returnRefused, providerUnavailable, providerFaulty
 */
export async function startSignIn(
  { platform, request }: Pick<SignInContext, "platform" | "request">,
  tenant: Tenant,
  { providerId, returnTo, challenge }: Start,
): Promise<{ readonly location: string; readonly secret: string }> {
  const provider = await findEnabled(platform, tenant, providerId);
  const back = permittedReturn(platform.config, tenant, returnTo);
  const redirectUri = callbackUrl(platform.config, tenant, provider.id, request.host);
  // Keep the secret of a sign-in in another tab, so that it can still be completed.
  const secret = browserSecret(request.headers.cookie) ?? randomBytes(32).toString("base64url");
  const state = await platform.oneTimeTokens.issue({
    purpose: statePurpose,
    // The user is not known yet: a random id makes each sign-in independent.
    subject: { tenantId: tenant.id, id: randomUUID() as UserId },
    ttlSeconds: stateSeconds,
    detail: {
      browser: hashOf(secret),
      redirect_uri: redirectUri,
      return_to: back.href,
      challenge,
    },
  });
  const { href } = await platform.oidc.authorizationUrl(
    asOidc(tenant, provider),
    flowOf(secret, state, redirectUri),
    { scopes: provider.scopes, acr: provider.second_factor_acr },
  );
  return { location: href, secret };
}

interface Callback {
  /** From the callback's address. */
  readonly providerId: string;
  /** The tenant that the host names. */
  readonly tenant: Tenant | undefined;
  readonly query: Readonly<Record<string, string>> & { readonly state: string };
}

/** The outcome. In either case the browser goes on to `location`. */
export interface Finished {
  readonly location: string;
  readonly tenant: Tenant;
  readonly outcome: (Entry & { readonly failure?: never }) | { readonly failure: AppError };
}

/** @throws invalidState, tenantNotFound: the page to return to is not known then */
export async function finishSignIn(
  { platform, request, audit }: ProviderSignInDeps,
  { providerId, tenant: hostTenant, query }: Callback,
): Promise<Finished> {
  const secret = browserSecret(request.headers.cookie);
  const begun = await platform.oneTimeTokens.redeem(statePurpose, query.state);
  if (!begun || secret === undefined) throw invalidState();
  const { browser, redirect_uri: redirectUri = "", return_to, challenge } = begun.detail;
  const tenant = await platform.tenants.find(begun.subject.tenantId ?? "");
  if (tenant?.status !== "active") throw tenantNotFound();
  const sameTenant = hostTenant === undefined || hostTenant.id === tenant.id;
  // The address names the provider.
  const sameAddress =
    redirectUri === callbackUrl(platform.config, tenant, providerId, request.host);
  if (!sameTenant || !sameAddress || browser !== hashOf(secret)) {
    await noteFailure(audit, { tenant, provider: providerId, reason: invalidState.code });
    throw invalidState();
  }
  const back = new URL(return_to ?? "");
  try {
    const found = await findEnabled(platform, tenant, providerId);
    const who = await platform.oidc.redeem(
      asOidc(tenant, found),
      flowOf(secret, query.state, redirectUri),
      new URLSearchParams(query),
      ["email", ...(found.role_mapping?.claim.slice(0, 1) ?? [])],
    );
    const entry = await platform.withTenant<IdentityTables, Entry>(tenant, ({ db, events }) =>
      enter({ db, events, permissions: platform.permissions }, found, who),
    );
    if (entry.rolesChanged) await platform.forgetUser(tenant, entry.userId);
    const subject = await findUserSubject(platform, tenant, entry.userId);
    if (!subject) throw providerRefused();
    const code = await platform.oneTimeTokens.issue({
      purpose: codePurpose,
      subject: { tenantId: tenant.id, id: entry.userId },
      ttlSeconds: codeSeconds,
      several: true,
      detail: {
        challenge: challenge ?? "",
        epoch: subject.epoch,
        amr: amrOf(found, who).join(" "),
        provider: found.id,
      },
    });
    back.searchParams.set("code", code);
    return { location: back.href, tenant, outcome: entry };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    await noteFailure(audit, { tenant, provider: providerId, reason: error.code });
    back.searchParams.set("error", error.code);
    back.searchParams.set("error_description", error.message);
    return { location: back.href, tenant, outcome: { failure: error } };
  }
}

/** @throws invalidCode, and the errors of `signIn`: this is where a second factor is required */
export async function exchangeCode(
  context: SignInContext & ProviderSignInDeps,
  hostTenant: Tenant | undefined,
  { code, verifier }: { readonly code: string; readonly verifier: string },
) {
  const { platform, audit } = context;
  const found = await platform.oneTimeTokens.redeem(codePurpose, code);
  if (!found || found.subject.tenantId === null) throw invalidCode();
  const { subject: id, detail } = found;
  const tenant = await platform.tenants.find(found.subject.tenantId);
  const sameTenant = hostTenant === undefined || hostTenant.id === tenant?.id;
  if (tenant?.status !== "active") throw invalidCode();
  if (!sameTenant || detail.challenge !== hashOf(verifier)) {
    await noteFailure(audit, { tenant, provider: detail.provider, reason: invalidCode.code });
    throw invalidCode();
  }
  // The subject has a tenant, so this is a user's id.
  const subject = await findUserSubject(platform, tenant, id.id as UserId);
  // If the user's sessions were ended since the callback, this sign-in ends with them.
  if (!subject || subject.epoch !== detail.epoch) throw invalidCode();
  const amr = authenticationMethods.filter((method) => detail.amr?.split(" ").includes(method));
  const reply = await signIn(context, subject, { amr });
  return { reply, tenant, user: subject.user, provider: detail.provider };
}

/** The audit entry names nobody: the provider's claims have not been accepted. */
const noteFailure = (
  audit: TenantAudit,
  failure: {
    readonly tenant: Tenant;
    readonly provider: string | undefined;
    readonly reason: string;
  },
): Promise<void> =>
  audit({
    action: "auth.login_failed",
    outcome: "failed",
    tenant: failure.tenant,
    actor: { kind: "anonymous" },
    detail: { identity_provider: failure.provider, reason: failure.reason },
  });

/** @throws providerNotFound, also if the provider is disabled */
async function findEnabled(
  { withTenant }: Platform,
  tenant: Tenant,
  id: string,
): Promise<ProviderRow> {
  const found = await withTenant<IdentityTables, ProviderRow | undefined>(tenant, ({ db }) =>
    findProvider(db, id),
  );
  if (!found?.enabled) throw providerNotFound();
  return found;
}

const asOidc = ({ id: tenantId }: Tenant, provider: ProviderRow): OidcProvider => ({
  tenantId,
  issuer: provider.issuer,
  clientId: provider.client_id,
  sealedSecret: provider.sealed_secret,
});

/** The browser's secret, if the request has exactly one such cookie in our format. */
function browserSecret(header: string | string[] | undefined): string | undefined {
  const text = cookieIn(header?.toString(), browserCookie);
  return typeof text === "string" && /^[\w-]{43}$/.test(text) ? text : undefined;
}

function flowOf(secret: string, state: string, redirectUri: string): OidcFlow {
  const derive = (what: string) =>
    createHmac("sha256", secret).update(`${what}:${state}`).digest("base64url");
  return { state, redirectUri, nonce: derive("nonce"), verifier: derive("verifier") };
}

/**
 * The authentication methods (RFC 8176) to record: `mfa` if the provider's `amr` or `acr` says so,
 * or the tenant trusts that it always requires a second factor.
 */
function amrOf(provider: ProviderRow, { claims }: OutsideIdentity): Amr {
  const said = Array.isArray(claims.amr) && claims.amr.includes("mfa");
  const byClass = provider.second_factor_acr.some((value) => value === claims.acr);
  return said || byClass || provider.trust_second_factor ? ["fed", "mfa"] : ["fed"];
}

const hashOf = (text: string): string => createHash("sha256").update(text).digest("base64url");
