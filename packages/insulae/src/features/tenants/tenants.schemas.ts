import { type Static, Type } from "typebox";
import { nameText, oneOf } from "../../kernel/feature/fields.ts";
import { pageQuery, totalWanted } from "../../kernel/feature/page.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";

const TenantName = nameText(255);
export const Plan = Type.String({
  pattern: "^[a-z0-9][a-z0-9_-]{0,49}$",
  examples: ["free", "standard", "premium"],
});
export const Hostname = Type.String({
  minLength: 1,
  maxLength: 253,
  examples: ["shop.acme.example"],
});

export const Isolation = Type.Union(
  [Type.Literal("pool"), Type.Literal("schema"), Type.Literal("database")],
  {
    description:
      "pool: tables shared with other tenants; schema: its own schema; database: its own database.",
  },
);

export const Settings = Type.Object(
  {
    registration: Type.Optional(
      Type.Union([Type.Literal("open"), Type.Literal("closed")], {
        description: "Whether anybody may register as a user of the tenant.",
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
          "Whether the tenant's users must verify their e-mail before they can log in; default: EMAIL_VERIFICATION.",
      }),
    ),
    password_login: Type.Optional(
      Type.Union([Type.Literal("on"), Type.Literal("off")], {
        description:
          "`off`: only owners sign in with a password; everybody else uses an identity provider, a passkey or an invitation. Requires an enabled provider or a passkey. Existing sessions stay.",
      }),
    ),
    second_factor: Type.Optional(
      Type.Union([Type.Literal("required"), Type.Literal("optional")], {
        description:
          "`required`: everybody who signs in here needs a second factor, and sessions opened without one end.",
      }),
    ),
    invitation_days: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 365,
        description: "How many days an invitation is valid; default 7.",
      }),
    ),
    features: Type.Optional(
      Type.Record(Type.String({ maxLength: 100 }), Type.Boolean(), { maxProperties: 200 }),
    ),
    limits: Type.Optional(
      Type.Record(Type.String({ maxLength: 100 }), Type.Number({ minimum: 0 }), {
        maxProperties: 100,
        description:
          "For platform administrators; stays unchanged if absent. `requests_per_minute` and each quota by its name (`users`, `storage_bytes`, …) override the plan's; 0: no limit.",
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
        description: "Settings of the application itself.",
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
    status: oneOf(["active", "suspended", "deleted"], {
      description: "`deleted`: only in lists and details for platform administrators.",
    }),
    plan: Type.String(),
    isolation: Isolation,
    hosts: Type.Array(Type.String()),
    settings: Type.Record(Type.String(), Type.Unknown()),
    owner_account_id: Type.Union([Type.String({ format: "uuid" }), Type.Null()]),
    created_at: Type.String({ format: "date-time" }),
    updated_at: Type.String({ format: "date-time" }),
    deleted_at: Type.Optional(Type.String({ format: "date-time" })),
    erase_at: Type.Optional(
      Type.String({
        format: "date-time",
        description: "When a deleted tenant's rows are erased; until then it can be restored.",
      }),
    ),
  },
  { $id: "Tenant" },
);

/** The part that other programs may read; in Redis it is the value of `tenant:{id}:config`. */
export const TenantConfigView = Type.Object(
  {
    ...Type.Pick(TenantView, ["id", "key", "slug", "name", "status", "plan", "settings"])
      .properties,
  },
  { $id: "TenantConfig" },
);

export const TenantListQuery = pageQuery({
  q: Type.Optional(Type.String({ minLength: 1, maxLength: 253, pattern: "\\S" })),
  status: Type.Optional(oneOf(["active", "suspended", "deleted"])),
  plan: Type.Optional(Plan),
  isolation: Type.Optional(Isolation),
  server: Type.Optional(
    Type.String({ minLength: 1, maxLength: 63, description: "The server's id or name." }),
  ),
  order: Type.Optional(
    oneOf(["created", "name", "key"], {
      description: "`created` (the default): newest first; `name`, `key`: ascending.",
    }),
  ),
  total: totalWanted,
});

export const NewTenantBody = Type.Object({
  key: Type.String({
    minLength: 1,
    maxLength: 63,
    description: "Unique; a-z, 0-9, _ and -. The slug, a DNS label, is derived from it.",
    examples: ["acme_corp"],
  }),
  name: TenantName,
  isolation: Type.Optional(Isolation),
  plan: Type.Optional(Plan),
  hosts: Type.Optional(Type.Array(Hostname, { maxItems: 20, uniqueItems: true })),
  settings: Type.Optional(Settings),
  server: Type.Optional(
    Type.String({
      maxLength: 63,
      description: "For platform administrators: the server to place the tenant on.",
    }),
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
  // One that is being provisioned is shown only to whoever makes it.
  status: tenant.status === "provisioning" ? "active" : tenant.status,
  plan: tenant.plan,
  isolation: tenant.placement.isolation,
  hosts: [...tenant.hosts],
  settings: { ...tenant.settings },
  owner_account_id: tenant.ownerAccountId ?? null,
  created_at: tenant.createdAt.toISOString(),
  updated_at: tenant.updatedAt.toISOString(),
  ...(tenant.deletion && {
    deleted_at: tenant.deletion.deletedAt.toISOString(),
    erase_at: tenant.deletion.eraseAt.toISOString(),
  }),
});
