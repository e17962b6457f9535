import { type Static, Type } from "typebox";
import { nameText, nullable, oneOf, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { SessionChoice, TenantReference } from "../accounts/accounts.feature.ts";

const GivenRole = oneOf(["admin", "manager", "user", "viewer"], {
  description: "A system role; never owner.",
});
const Mapping = Type.Object({
  claim: Type.Array(Type.String({ minLength: 1, maxLength: 200 }), {
    minItems: 1,
    maxItems: 5,
    description: "The names that lead to the claim, outermost first.",
    examples: [["groups"], ["realm_access", "roles"]],
  }),
  values: Type.Array(
    Type.Object({
      value: Type.String({ minLength: 1, maxLength: 300 }),
      role: Type.String({
        minLength: 1,
        maxLength: 63,
        description: "The name of a system role (never owner), or the id of a role of your own.",
      }),
    }),
    { maxItems: 100 },
  ),
});
const Issuer = Type.String({
  maxLength: 300,
  pattern: "^https?://[^\\s?#@]+$",
  description: "As the provider names itself, without `/.well-known/…`.",
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
    description: "The domains of the e-mails that may sign in; empty: any.",
  }),
  trust_email: Type.Boolean({
    description:
      "Believes the provider about e-mails in `allowed_domains` where it does not say `email_verified`. Only for a provider in which nobody can choose their address.",
  }),
  create_users: Type.Boolean({
    description: "Whether somebody unknown becomes a user at the first sign-in; default false.",
  }),
  default_role: GivenRole,
  role_mapping: nullable(Mapping),
  update_roles: Type.Boolean({
    description: "Whether each sign-in sets the roles anew, or only the first.",
  }),
  trust_second_factor: Type.Boolean({
    description: "The provider always asks for a second factor.",
  }),
  second_factor_acr: Type.Array(Scope, {
    maxItems: 10,
    description: "Values of `acr` that stand for a second factor; they are asked for as well.",
  }),
  enabled: Type.Boolean(),
};
const secret = Type.String({ minLength: 1, maxLength: 1_000, description: "Never shown again." });

export const ProviderView = Type.Object(
  {
    id: uuid,
    ...settings,
    name: Type.String(),
    redirect_uris: Type.Array(Type.String(), {
      description: "What to register at the provider: where it may send browsers back.",
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
    subject: Type.String({ description: "Who they are there." }),
    created_at: timestamp,
    last_used_at: timestamp,
  },
  { $id: "Identity" },
);

export const StartQuery = Type.Object({
  return_to: Type.String({
    maxLength: 2_000,
    description:
      "The page that goes on: of APP_URL, of a host of the tenant, or of an origin that CORS allows.",
  }),
  code_challenge: Type.String({
    pattern: "^[\\w-]{43}$",
    description:
      "The page makes a secret of 43 to 128 letters, keeps it, and sends its SHA-256 in base64url (S256 of RFC 7636).",
  }),
  tenant: Type.Optional(TenantReference),
});

/** Providers add what they like (`session_state`, `scope`, …). */
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
