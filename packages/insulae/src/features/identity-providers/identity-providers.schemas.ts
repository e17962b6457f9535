import { type Static, Type } from "typebox";
import { nameText, nullable, oneOf, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { SessionChoice, TenantReference } from "../accounts/accounts.feature.ts";

const GivenRole = oneOf(["admin", "manager", "user", "viewer"], {
  description: "A system role other than owner.",
});
const Mapping = Type.Object({
  claim: Type.Array(Type.String({ minLength: 1, maxLength: 200 }), {
    minItems: 1,
    maxItems: 5,
    description: "The path to the claim, outermost name first.",
    examples: [["groups"], ["realm_access", "roles"]],
  }),
  values: Type.Array(
    Type.Object({
      value: Type.String({ minLength: 1, maxLength: 300 }),
      role: Type.String({
        minLength: 1,
        maxLength: 63,
        description:
          "The name of a system role (except owner), or the id of one of the tenant's own roles.",
      }),
    }),
    { maxItems: 100 },
  ),
});
const Issuer = Type.String({
  maxLength: 300,
  pattern: "^https?://[^\\s?#@]+$",
  description: "The issuer URL, without `/.well-known/…`.",
  examples: ["https://accounts.google.com"],
});
const Scope = Type.String({ maxLength: 100, pattern: "^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$" });
const AllowedDomain = Type.String({
  minLength: 3,
  maxLength: 253,
  examples: ["acme.example"],
});

const settings = {
  name: nameText(100),
  issuer: Issuer,
  client_id: Type.String({ minLength: 1, maxLength: 300 }),
  scopes: Type.Array(Scope, { maxItems: 20, description: "Default openid, email, profile." }),
  allowed_domains: Type.Array(AllowedDomain, {
    maxItems: 50,
    description: "The e-mail domains that may sign in; empty: any.",
  }),
  trust_email: Type.Boolean({
    description:
      "Treats e-mails in `allowed_domains` as verified if the provider does not send `email_verified`. Use it only if users can't choose their address at the provider.",
  }),
  create_users: Type.Boolean({
    description: "Whether the first sign-in of an unknown person creates a user; default false.",
  }),
  default_role: GivenRole,
  role_mapping: nullable(Mapping),
  update_roles: Type.Boolean({
    description: "Whether every sign-in updates the roles, or only the first one sets them.",
  }),
  trust_second_factor: Type.Boolean({
    description: "Trust that the provider always requires a second factor.",
  }),
  second_factor_acr: Type.Array(Scope, {
    maxItems: 10,
    description: "Values of `acr` that mean a second factor. They are sent as `acr_values` too.",
  }),
  enabled: Type.Boolean(),
};
const secret = Type.String({ minLength: 1, maxLength: 1_000, description: "Never returned." });

export const ProviderView = Type.Object(
  {
    id: uuid,
    ...settings,
    name: Type.String(),
    redirect_uris: Type.Array(Type.String(), {
      description: "The redirect URIs to register at the provider.",
    }),
    created_at: timestamp,
    updated_at: timestamp,
  },
  { $id: "IdentityProvider" },
);

const optional = Type.Partial(Type.Object(settings)).properties;

export const NewProvider = Type.Object(
  {
    ...optional,
    name: settings.name,
    issuer: settings.issuer,
    client_id: settings.client_id,
    client_secret: secret,
  },
  { $id: "NewIdentityProvider" },
);

export const ProviderChanges = Type.Object(
  { ...optional, client_secret: Type.Optional(secret) },
  { $id: "IdentityProviderChanges", minProperties: 1 },
);

export type NewProviderBody = Static<typeof NewProvider>;
export type ProviderChangesBody = Static<typeof ProviderChanges>;

export const Identity = Type.Object(
  {
    id: uuid,
    issuer: Type.String(),
    subject: Type.String({ description: "The user's `sub` at the provider." }),
    created_at: timestamp,
    last_used_at: timestamp,
  },
  { $id: "Identity" },
);

export const StartQuery = Type.Object({
  return_to: Type.String({
    maxLength: 2_000,
    description:
      "The page to return to. Its origin must be that of APP_URL, a host of the tenant, or allowed by CORS_ORIGINS.",
  }),
  code_challenge: Type.String({
    pattern: "^[\\w-]{43}$",
    description:
      "The PKCE challenge (RFC 7636, S256): the page generates and keeps a secret of 43 to 128 characters and sends its SHA-256 in base64url.",
  }),
  tenant: Type.Optional(TenantReference),
});

/** Providers add parameters of their own (`session_state`, `scope`, …). */
export const CallbackQuery = Type.Object(
  { state: Type.String({ minLength: 1, maxLength: 200 }) },
  { additionalProperties: Type.String({ maxLength: 5_000 }) },
);

export const Exchange = Type.Object(
  {
    code: Type.String({ minLength: 1, maxLength: 200 }),
    code_verifier: Type.String({ pattern: "^[\\w.~-]{43,128}$" }),
    session: Type.Optional(SessionChoice),
  },
  { $id: "OidcExchange" },
);
