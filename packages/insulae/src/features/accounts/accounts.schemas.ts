import { Type } from "typebox";
import { nullable, secretText, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { maxPasswordLength } from "../../kernel/identity/passwords.ts";
import { Email, NewPassword, PersonName, Username } from "../users/users.feature.ts";

export const TenantReference = Type.String({
  minLength: 1,
  maxLength: 63,
  description: "A tenant's id, key, slug or number.",
});

/** How the client will present its session from now on. */
export const SessionChoice = Type.Union([Type.Literal("token"), Type.Literal("cookie")], {
  description:
    "`token` (the default): tokens in the response. `cookie`, for browsers: an HttpOnly cookie, and a `csrf_token` to send as `X-CSRF-Token` with every request that changes something.",
});

/** Unknown properties are rejected, so `role`, `tenant_id` or `permissions` can't be injected. */
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
    tenant: Type.Optional(nullable(TenantReference)),
    session: Type.Optional(SessionChoice),
  },
  {
    $id: "LogIn",
    description:
      "With `email` or `username`. `tenant: null` logs in an account at the platform, outside all tenants.",
  },
);

export const Switch = Type.Object(
  { tenant: nullable(TenantReference) },
  { $id: "Switch", description: "`tenant: null` switches to the platform, outside all tenants." },
);

export const TenantTokenRequest = Type.Object(
  { tenant: TenantReference },
  { $id: "TenantTokenRequest" },
);

export const Refresh = Type.Object(
  { refresh_token: Type.String({ minLength: 1, maxLength: 200 }) },
  { $id: "Refresh" },
);

export const SessionView = Type.Object(
  {
    id: uuid,
    amr: Type.Array(Type.String(), {
      description: "How the person authenticated (RFC 8176); `mfa`: with two factors.",
    }),
    kind: Type.String({ description: "How the client presents it: `token` or `cookie`." }),
    ip: nullable(Type.String()),
    user_agent: nullable(Type.String()),
    created_at: timestamp,
    last_used_at: { ...timestamp, description: "When it was last refreshed." },
    expires_at: timestamp,
    current: Type.Boolean({ description: "Whether this request uses it." }),
    impersonated: Type.Boolean({
      description: "Whether an administrator is impersonating the user.",
    }),
  },
  { $id: "Session" },
);

/** A user of a tenant or an account. Properties that only the other kind has are absent. */
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
    description: "The tenant for which the token is valid; null: the platform.",
  }),
  tenants: Type.Optional(
    Type.Array(TenantSummary, { description: "For an account: the tenants it can switch to." }),
  ),
};

const csrfToken = secretText(
  "Send it as `X-CSRF-Token` with every request that changes something. Only for cookie sessions.",
);

export const SignedIn = Type.Object(
  {
    token: Type.Optional(secretText("Same as `access_token`.")),
    access_token: Type.Optional(
      secretText("Send it as `Authorization: Bearer …`. Absent for cookie sessions."),
    ),
    refresh_token: Type.Optional(
      secretText(
        "For `POST /auth/refresh`; single use. Absent if the session cannot be refreshed.",
      ),
    ),
    token_type: Type.Optional(Type.Literal("bearer")),
    csrf_token: Type.Optional(csrfToken),
    expires_in: Type.Integer({ description: "Seconds." }),
    ...whoAndWhere,
  },
  { $id: "SignedIn" },
);

export const TenantToken = Type.Object(
  {
    access_token: secretText("Send it as `Authorization: Bearer …`, from this tab only."),
    token_type: Type.Literal("Bearer"),
    expires_in: Type.Integer({ description: "Seconds." }),
    tenant: TenantSummary,
    permissions: Type.Array(Type.String(), {
      description: "The caller's in the tenant, as they are now.",
    }),
  },
  { $id: "TenantToken" },
);

export const VerificationPending = Type.Object(
  {
    verification_required: Type.Literal(true),
    email: Type.String({ description: "The address that the e-mail is sent to." }),
  },
  {
    $id: "VerificationPending",
    description: "The e-mail must be verified before the first log-in.",
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
        { description: "The platform administrator who is impersonating the user." },
      ),
    ),
  },
  { $id: "Me" },
);

export const Jwks = Type.Object(
  { keys: Type.Array(Type.Object({}, { additionalProperties: true })) },
  { $id: "Jwks" },
);
