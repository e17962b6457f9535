import { Type } from "typebox";
import type { TenantAudit } from "../../kernel/audit/audit.ts";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { uuid } from "../../kernel/feature/fields.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { invalidCredentials } from "../../kernel/identity/errors.ts";
import { providerFaulty, providerUnavailable } from "../../kernel/identity/oidc.ts";
import { setCookie } from "../../kernel/lib/cookies.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { tenantAccessDenied, tenantNotFound, tenantRequired } from "../../kernel/tenancy/errors.ts";
import { SignedIn, TenantReference, tenantOf } from "../accounts/accounts.feature.ts";
import { returnRefused } from "./addresses.ts";
import {
  type IdentityTables,
  listProviders,
  type ProviderRow,
} from "./identity-providers.queries.ts";
import { CallbackQuery, Exchange, StartQuery } from "./identity-providers.schemas.ts";
import { providerNotFound } from "./identity-providers.service.ts";
import {
  browserCookie,
  exchangeCode,
  type Finished,
  finishSignIn,
  invalidCode,
  invalidState,
  startSignIn,
  stateSeconds,
} from "./sign-in.ts";

const params = Type.Object({ provider: uuid });

/** @throws tenantRequired, tenantNotFound, tenantAccessDenied */
async function requireTenant(
  platform: Platform,
  known: Tenant | undefined,
  reference: string | undefined,
): Promise<Tenant> {
  const tenant = await tenantOf(platform, known, reference);
  if (!tenant) throw tenantRequired();
  return tenant;
}

export const signInRoutes = (r: RouteBuilder<IdentityTables>) => [
  r.get(
    "/auth/oidc",
    {
      permission: "public",
      context: "any",
      summary: "Lists the tenant's identity providers for a log-in page",
      query: Type.Object({ tenant: Type.Optional(TenantReference) }),
      unknownTenant: () => ({ items: [] }),
      response: Type.Object({ items: Type.Array(Type.Object({ id: uuid, name: Type.String() })) }),
      errors: [tenantRequired, tenantNotFound, tenantAccessDenied],
    },
    async ({ platform, tenant, query }) => {
      const where = await requireTenant(platform, tenant, query.tenant);
      const providers = await platform.withTenant<IdentityTables, ProviderRow[]>(where, ({ db }) =>
        listProviders(db),
      );
      return { items: providers.filter(({ enabled }) => enabled) };
    },
  ),

  r.get(
    "/auth/oidc/:provider/start",
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      summary: "Redirects the browser to an identity provider",
      description:
        "Navigate to it; don't fetch it. The browser returns to `return_to` with `code`, for `POST /auth/oidc/exchange`, or with `error` and `error_description`.",
      params,
      query: StartQuery,
      unknownTenant() {
        throw providerNotFound();
      },
      response: { 302: null },
      errors: [
        providerNotFound,
        returnRefused,
        providerUnavailable,
        providerFaulty,
        tenantRequired,
        tenantNotFound,
        tenantAccessDenied,
      ],
    },
    async ({ platform, request, tenant, params, query, header, status }) => {
      const where = await requireTenant(platform, tenant, query.tenant);
      const { location, secret } = await startSignIn({ platform, request }, where, {
        providerId: params.provider,
        returnTo: query.return_to,
        challenge: query.code_challenge,
      });
      header("set-cookie", setCookie(browserCookie, secret, stateSeconds));
      header("cache-control", "no-store");
      header("location", location);
      status(302);
    },
  ),

  r.get(
    "/auth/oidc/:provider/callback",
    {
      permission: "public",
      context: "any",
      summary: "Receives the browser back from the identity provider",
      params,
      query: CallbackQuery,
      unknownTenant() {
        throw invalidState();
      },
      response: { 302: null },
      errors: [invalidState, tenantNotFound],
    },
    async ({ platform, request, tenant, params, query, header, status, audit, log }) => {
      const finished = await finishSignIn(
        { platform, request, audit },
        { providerId: params.provider, tenant, query },
      );
      const { failure } = finished.outcome;
      if (failure)
        log.warn(
          { err: failure, provider: params.provider },
          "Sign-in through an identity provider failed",
        );
      await noteFirst(audit, params.provider, finished);
      header("cache-control", "no-store");
      header("location", finished.location);
      status(302);
    },
  ),

  r.post(
    "/auth/oidc/exchange",
    {
      permission: "public",
      context: "any",
      audit: "auth.logged_in",
      summary: "Exchanges the returned code and the page's secret for a session",
      body: Exchange,
      unknownTenant() {
        throw invalidCode();
      },
      response: SignedIn,
      errors: [invalidCode, invalidCredentials],
    },
    async ({ platform, request, tenant, body, header, audit }) => {
      const browser = body.session === "cookie" ? header : undefined;
      const { reply, user, ...found } = await exchangeCode(
        { platform, request, browser, audit },
        tenant,
        { code: body.code, verifier: body.code_verifier },
      );
      await audit({
        action: "auth.logged_in",
        tenant: found.tenant,
        actor: { kind: "user", id: user.id, name: user.email },
        detail: { identity_provider: found.provider },
      });
      return reply;
    },
  ),
];

/**
 * Audits a first sign-in, which created or linked a user. The exchange audits the sign-in itself.
 */
async function noteFirst(
  audit: TenantAudit,
  provider: string,
  { tenant, outcome }: Finished,
): Promise<void> {
  if (outcome.failure || !outcome.first) return;
  await audit({
    action: outcome.first === "made" ? "user.created" : "identity.linked",
    tenant,
    actor: { kind: "user", id: outcome.userId },
    target: { type: "user", id: outcome.userId },
    detail: { identity_provider: provider },
  });
}
