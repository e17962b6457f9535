import { Type } from "typebox";
import { nullable, secretText, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { maxPasswordLength } from "../../kernel/identity/passwords.ts";
import { Email, NewPassword, PersonName, Username } from "../users/users.feature.ts";

export const TenantReference = Type.String({
  minLength: 1,
  maxLength: 63,
  description: "A tenant's id, key, slug or number.",
});

/** How the caller wants to show who they are from now on. */
export const SessionChoice = Type.Union([Type.Literal("token"), Type.Literal("cookie")], {
  description:
    "`token` (the default): tokens in the reply. `cookie`, for browsers: an HttpOnly cookie, and a `csrf_token` that each change has to send as `X-CSRF-Token`.",
});

/** Strange fields (`role`, `tenant_id`, `permissions`, …) are refused like any unknown one. */
export const Registration = Type.Object(
  {
    email: Email,
    password: NewPassword,
    first_name: Type.Optional({ ...PersonName, minLength: 1 }),
    last_name: Type.Optional(PersonName),
    username: Type.Optional(Username),
    tenant: Type.Optional(TenantReference),
    session: Type.Optional(SessionChoice),
  },
  { $id: "Registration" },
);

export const LogIn = Type.Object(
  {
    email: Type.Optional(Email),
    username: Type.Optional(Username),
    password: Type.String({ minLength: 1, maxLength: maxPasswordLength }),
    tenant: Type.Optional(TenantReference),
    session: Type.Optional(SessionChoice),
  },
  { $id: "LogIn", description: "With `email` or `username`." },
);

export const Switch = Type.Object(
  { tenant: nullable(TenantReference) },
  { $id: "Switch", description: "`tenant: null` leaves all tenants, for the platform itself." },
);

export const Refresh = Type.Object(
  { refresh_token: Type.String({ minLength: 1, maxLength: 200 }) },
  { $id: "Refresh" },
);

export const SessionView = Type.Object(
  {
    id: uuid,
    amr: Type.Array(Type.String(), {
      description: "How the person has proved who they are (RFC 8176); `mfa`: by two factors.",
    }),
    kind: Type.String({ description: "How it is shown: `token`, …" }),
    ip: nullable(Type.String()),
    user_agent: nullable(Type.String()),
    created_at: timestamp,
    last_used_at: { ...timestamp, description: "When it was last refreshed." },
    expires_at: timestamp,
    current: Type.Boolean({ description: "Whether this request is part of it." }),
    impersonated: Type.Boolean({ description: "Whether an administrator acts as the user." }),
  },
  { $id: "Session" },
);

/** A user of a tenant, or an account; what only one of them has is absent from the other. */
const Person = Type.Object(
  {
    id: uuid,
    email: Type.String(),
    username: Type.Optional(nullable(Type.String())),
    first_name: Type.String(),
    last_name: Type.String(),
    role: Type.Optional(Type.String()),
    platform_admin: Type.Optional(Type.Boolean()),
    is_owner: Type.Optional(Type.Boolean()),
    is_active: Type.Boolean(),
    email_verified: Type.Boolean(),
    created_at: timestamp,
    updated_at: timestamp,
  },
  { $id: "Person" },
);

export const TenantSummary = Type.Object(
  {
    id: uuid,
    key: Type.String(),
    slug: Type.String(),
    number: Type.Integer(),
    name: Type.String(),
  },
  { $id: "TenantSummary" },
);

const whoAndWhere = {
  user: Person,
  tenant: Type.Union([TenantSummary, Type.Null()], {
    description: "The tenant that the token is valid in; null: the platform itself.",
  }),
  tenants: Type.Optional(
    Type.Array(TenantSummary, { description: "Of an account: the tenants to switch to." }),
  ),
};

const csrfToken = secretText(
  "For the header `X-CSRF-Token` of each change. Only where a cookie proves who calls.",
);

export const SignedIn = Type.Object(
  {
    token: Type.Optional(secretText("The same as `access_token`.")),
    access_token: Type.Optional(
      secretText("Proves who calls, as `Authorization: Bearer …`. Absent where a cookie does."),
    ),
    refresh_token: Type.Optional(
      secretText("For `POST /auth/refresh`, once. Absent where a session can't be prolonged."),
    ),
    token_type: Type.Optional(Type.Literal("bearer")),
    csrf_token: Type.Optional(csrfToken),
    expires_in: Type.Integer({ description: "Seconds." }),
    ...whoAndWhere,
  },
  { $id: "SignedIn" },
);

export const VerificationPending = Type.Object(
  {
    verification_required: Type.Literal(true),
    email: Type.String({ description: "Where the mail goes." }),
  },
  {
    $id: "VerificationPending",
    description: "Before anybody can log in, the e-mail has to be verified.",
  },
);

export const Me = Type.Object(
  {
    ...whoAndWhere,
    role: Type.Optional(Type.String()),
    permissions: Type.Array(Type.String()),
    csrf_token: Type.Optional(csrfToken),
    impersonator: Type.Optional(
      Type.Object(
        { id: uuid, email: Type.String() },
        { description: "The administrator of the platform who acts as the user." },
      ),
    ),
  },
  { $id: "Me" },
);

export const Jwks = Type.Object(
  { keys: Type.Array(Type.Object({}, { additionalProperties: true })) },
  { $id: "Jwks" },
);
