import { type Static, Type } from "typebox";
import { nameText } from "../../kernel/feature/fields.ts";
import type { Tenant } from "../../kernel/tenancy/tenant.ts";

const TenantName = nameText(255);
const Plan = Type.String({
  pattern: "^[a-z0-9][a-z0-9_-]{0,49}$",
  examples: ["free", "standard", "premium"],
});
export const Hostname = Type.String({
  minLength: 1,
  maxLength: 253,
  examples: ["shop.acme.example"],
});

const Isolation = Type.Union(
  [Type.Literal("pool"), Type.Literal("schema"), Type.Literal("database")],
  {
    description:
      "pool: rows among others'; schema: a schema of its own; database: a database of its own.",
  },
);

export const Settings = Type.Object(
  {
    registration: Type.Optional(
      Type.Union([Type.Literal("open"), Type.Literal("closed")], {
        description: "Whether strangers may sign up as users of the tenant.",
      }),
    ),
    cors_origins: Type.Optional(
      Type.Array(Type.String({ maxLength: 260, pattern: "^https?://[^\\s/?#@*]+/?$" }), {
        maxItems: 50,
        uniqueItems: true,
        description:
          "Origins whose pages may use the API at the tenant's hosts, exactly as browsers send them.",
        examples: [["https://app.acme.example"]],
      }),
    ),
    email_verification: Type.Optional(
      Type.Union([Type.Literal("required"), Type.Literal("optional")], {
        description:
          "Whether the tenant's users verify their e-mail before they may log in; default as EMAIL_VERIFICATION says.",
      }),
    ),
    password_login: Type.Optional(
      Type.Union([Type.Literal("on"), Type.Literal("off")], {
        description:
          "Off, only owners sign in here by a password: everybody else by an identity provider, a passkey or an invitation. It takes a provider that is enabled, or a passkey. Sessions that are there stay.",
      }),
    ),
    second_factor: Type.Optional(
      Type.Union([Type.Literal("required"), Type.Literal("optional")], {
        description:
          "Whether everybody who signs in here needs a second factor. Required, it ends the sessions that were made without one.",
      }),
    ),
    invitation_days: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 365,
        description: "For how many days an invitation can be accepted; default 7.",
      }),
    ),
    features: Type.Optional(
      Type.Record(Type.String({ maxLength: 100 }), Type.Boolean(), { maxProperties: 200 }),
    ),
    limits: Type.Optional(
      Type.Record(Type.String({ maxLength: 100 }), Type.Number({ minimum: 0 }), {
        maxProperties: 100,
        description:
          "For platform administrators; kept where settings are given without. `requests_per_minute`, and each quota by its name (`users`, `storage_bytes`, …), stands in for the plan's; 0: no limit.",
        examples: [{ requests_per_minute: 5000, users: 50 }],
      }),
    ),
    branding: Type.Optional(
      Type.Record(Type.String({ maxLength: 100 }), Type.String({ maxLength: 2000 }), {
        maxProperties: 100,
      }),
    ),
    custom: Type.Optional(
      Type.Record(Type.String({ maxLength: 100 }), Type.Unknown(), {
        maxProperties: 100,
        description: "Whatever else an application sets for its tenants.",
      }),
    ),
  },
  { $id: "TenantSettings", description: "At most 32 KiB as JSON." },
);

export const TenantView = Type.Object(
  {
    id: Type.String({ format: "uuid" }),
    key: Type.String(),
    slug: Type.String(),
    number: Type.Integer(),
    name: Type.String(),
    status: Type.Union([Type.Literal("active"), Type.Literal("suspended")]),
    plan: Type.String(),
    isolation: Isolation,
    hosts: Type.Array(Type.String()),
    settings: Type.Record(Type.String(), Type.Unknown()),
    owner_account_id: Type.Union([Type.String({ format: "uuid" }), Type.Null()]),
    created_at: Type.String({ format: "date-time" }),
    updated_at: Type.String({ format: "date-time" }),
  },
  { $id: "Tenant" },
);

/** What other programs may know; in Redis it is the value of `tenant:{id}:config`. */
export const TenantConfigView = Type.Object(
  {
    ...Type.Pick(TenantView, ["id", "key", "slug", "name", "status", "plan", "settings"])
      .properties,
  },
  { $id: "TenantConfig" },
);

export const NewTenantBody = Type.Object({
  key: Type.String({
    minLength: 1,
    maxLength: 63,
    description: "Unique; a-z, 0-9, _ and -. The slug, a DNS label, is made from it.",
    examples: ["acme_corp"],
  }),
  name: TenantName,
  isolation: Type.Optional(Isolation),
  plan: Type.Optional(Plan),
  hosts: Type.Optional(Type.Array(Hostname, { maxItems: 20, uniqueItems: true })),
  settings: Type.Optional(Settings),
  server: Type.Optional(
    Type.String({ maxLength: 63, description: "For platform administrators: where to place it." }),
  ),
});

export const TenantChangesBody = Type.Object(
  { name: Type.Optional(TenantName), plan: Type.Optional(Plan), settings: Type.Optional(Settings) },
  { minProperties: 1 },
);

export const TenantParams = Type.Object({
  id: Type.String({
    minLength: 1,
    maxLength: 63,
    description: "The tenant's id, key, slug or number.",
  }),
});

/** A tenant as the API shows it. */
export const viewOf = (tenant: Tenant): Static<typeof TenantView> => ({
  id: tenant.id,
  key: tenant.key,
  slug: tenant.slug,
  number: tenant.number,
  name: tenant.name,
  status: tenant.status === "suspended" ? "suspended" : "active",
  plan: tenant.plan,
  isolation: tenant.placement.isolation,
  hosts: [...tenant.hosts],
  settings: { ...tenant.settings },
  owner_account_id: tenant.ownerAccountId ?? null,
  created_at: tenant.createdAt.toISOString(),
  updated_at: tenant.updatedAt.toISOString(),
});
