import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams } from "../../kernel/feature/fields.ts";
import { refuseTenantToken } from "../../kernel/identity/credential.ts";
import { tenantTokenRefused } from "../../kernel/identity/errors.ts";
import { passwordsBusy } from "../../kernel/identity/passwords.ts";
import { orThrow } from "../../kernel/lib/errors.ts";
import { SignedIn } from "../accounts/accounts.feature.ts";
import { beginPasskey, beginTotp, tooManyFactors } from "./adding.ts";
import {
  AddedFactor,
  BegunTotp,
  Factor,
  FactorChanges,
  Factors,
  NewFactor,
  PasskeyOptions,
  passkeyBodyLimit,
  Reauthentication,
  RecoveryCodes,
} from "./factors.schemas.ts";
import {
  addOwnFactor,
  callerOf,
  factorNotFound,
  reauthenticate,
  reauthenticationOptions,
  reauthenticationRequired,
  removeOwnFactor,
  requireFreshProof,
} from "./own-factors.ts";
import { tooManyAttempts, wrongFactor } from "./prove.ts";
import { notifyOfFactors } from "./tell.ts";

const own = { permission: "authenticated", context: "any" } as const;

export const ownFactorRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/auth/factors",
    { ...own, summary: "Lists the caller's factors", response: Factors },
    async (context) => {
      const { owner } = await callerOf(context);
      const { factors } = context.platform;
      return {
        items: await factors.list(owner),
        recovery_codes_left: await factors.recoveryCodesLeft(owner),
      };
    },
  ),

  r.post(
    "/auth/factors/totp",
    {
      ...own,
      audit: { none: "the factor takes effect only when it is confirmed, which is audited" },
      summary: "Begins setting up an authenticator app (TOTP, RFC 6238)",
      response: BegunTotp,
      errors: [reauthenticationRequired],
    },
    async (context) => {
      await requireFreshProof(context);
      return beginTotp(context, (await callerOf(context)).subject);
    },
  ),

  r.post(
    "/auth/factors/passkey",
    {
      ...own,
      audit: { none: "the factor takes effect only when it is confirmed, which is audited" },
      summary: "Begins creating a passkey (WebAuthn)",
      response: PasskeyOptions,
      errors: [reauthenticationRequired],
    },
    async (context) => {
      await requireFreshProof(context);
      return beginPasskey(context, (await callerOf(context)).subject);
    },
  ),

  r.post(
    "/auth/factors",
    {
      ...own,
      limit: "credentials",
      audit: "factor.added",
      summary: "Confirms and adds the factor",
      description:
        "An app is confirmed with its first code and replaces any previous app. Ends all sessions and returns a new one; with the first factor, also ten recovery codes.",
      body: NewFactor,
      bodyLimit: passkeyBodyLimit,
      response: { 201: AddedFactor },
      errors: [reauthenticationRequired, wrongFactor, tooManyFactors, tenantTokenRefused],
    },
    async (context) => {
      const added = await addOwnFactor(context, context.body);
      const { id, kind, name } = added.factor;
      await context.audit({
        action: "factor.added",
        target: { type: "factor", id },
        detail: { kind, name },
      });
      return added;
    },
  ),

  r.patch(
    "/auth/factors/:id",
    {
      ...own,
      audit: "factor.renamed",
      summary: "Renames a factor",
      params: idParams,
      body: FactorChanges,
      response: Factor,
      errors: [reauthenticationRequired, factorNotFound],
    },
    async (context) => {
      await requireFreshProof(context);
      const { owner } = await callerOf(context);
      const { params, body, platform } = context;
      return platform.factors.rename(owner, params.id, body.name).then(orThrow(factorNotFound));
    },
  ),

  r.delete(
    "/auth/factors/:id",
    {
      ...own,
      audit: "factor.removed",
      summary: "Removes a factor, and with the last one the recovery codes",
      description: "Ends all sessions and returns a new one.",
      params: idParams,
      response: SignedIn,
      errors: [reauthenticationRequired, factorNotFound, tenantTokenRefused],
    },
    async (context) => {
      const signedIn = await removeOwnFactor(context, context.params.id);
      await context.audit({
        action: "factor.removed",
        target: { type: "factor", id: context.params.id },
      });
      return signedIn;
    },
  ),

  r.post(
    "/auth/factors/recovery-codes",
    {
      ...own,
      audit: "recovery_codes.renewed",
      summary: "Replaces the recovery codes with ten new ones",
      response: RecoveryCodes,
      errors: [reauthenticationRequired, factorNotFound, tenantTokenRefused],
    },
    async (context) => {
      refuseTenantToken(context.credential);
      await requireFreshProof(context);
      const { owner } = await callerOf(context);
      const { platform } = context;
      if ((await platform.factors.list(owner)).length === 0) throw factorNotFound();
      const codes = await platform.factors.renewRecoveryCodes(owner);
      await notifyOfFactors(platform, owner, "recovery_codes_renewed");
      return { recovery_codes: [...codes] };
    },
  ),

  r.post(
    "/auth/reauthenticate",
    {
      ...own,
      limit: "credentials",
      audit: "auth.reauthenticated",
      summary: "Re-authenticates the caller for sensitive changes; valid for ten minutes",
      description: "With a factor, or with the password if you have none.",
      body: Reauthentication,
      bodyLimit: passkeyBodyLimit,
      response: { 204: null },
      errors: [wrongFactor, tooManyAttempts, passwordsBusy],
    },
    (context) => reauthenticate(context, context.body),
  ),

  r.post(
    "/auth/reauthenticate/passkey",
    {
      ...own,
      audit: { none: "nothing is proved yet; `reauthenticate` is audited" },
      summary: "Returns the WebAuthn options for `reauthenticate`",
      response: PasskeyOptions,
    },
    (context) => reauthenticationOptions(context),
  ),
];
