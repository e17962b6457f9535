import { Type } from "typebox";
import type { RequestInfo, RouteBuilder } from "../../kernel/feature/feature.ts";
import { nullable, uuid } from "../../kernel/feature/fields.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { badHostHeader, canonicalHost } from "../../kernel/net/hostname.ts";
import { hasAdministratorSignedIn, sitesOf } from "../accounts/accounts.feature.ts";
import { isRegistrationOpen } from "../users/users.feature.ts";
import {
  type IdentityTables,
  listProviders,
  type ProviderRow,
} from "./identity-providers.queries.ts";

const SignInPage = Type.Object(
  {
    version: Type.String(),
    environment: Type.String({ description: "`development`, `test` or `production`." }),
    tenant: nullable(
      Type.Object(
        {
          id: uuid,
          key: Type.String(),
          name: Type.String(),
          branding: Type.Record(Type.String(), Type.String()),
        },
        { description: "The tenant whose host this is; null at every other host." },
      ),
    ),
    password_login: Type.Boolean(),
    registration: Type.Boolean({ description: "Whether anybody may register here." }),
    passkeys: Type.Boolean({ description: "Whether passkeys work at this host." }),
    providers: Type.Array(Type.Object({ key: uuid, name: Type.String() }), {
      description: "The tenant's identity providers: `GET /auth/oidc/{key}/start`.",
    }),
    captured_mail: Type.Boolean({ description: "Whether mails are at `/dev/mails`." }),
    first_sign_in: Type.Boolean({
      description: "Whether no administrator has signed in yet. Always false in production.",
    }),
  },
  { $id: "SignInPage" },
);

export const contextRoutes = (r: RouteBuilder<IdentityTables>) => [
  r.get(
    "/auth/context",
    {
      permission: "public",
      context: "any",
      personal: false,
      summary: "Returns what a sign-in page may know before anybody has signed in",
      description:
        "A tenant is shown at its own hosts only. `X-Tenant` makes no difference: otherwise strangers could list tenants by guessing keys.",
      byHost: true,
      response: SignInPage,
    },
    ({ platform, request, tenant }) =>
      describe(
        platform,
        request,
        tenant && hasHost(platform, tenant, request) ? tenant : undefined,
      ),
  ),
];

function hasHost({ config }: Platform, tenant: Tenant, { host }: RequestInfo): boolean {
  const name = canonicalHost(host, badHostHeader);
  return name === `${tenant.slug}.${config.baseDomain}` || tenant.hosts.includes(name);
}

async function describe(platform: Platform, request: RequestInfo, tenant: Tenant | undefined) {
  const { config, version } = platform;
  const isProduction = config.env === "production";
  const providers = tenant
    ? await platform.withTenant<IdentityTables, ProviderRow[]>(tenant, ({ db }) =>
        listProviders(db),
      )
    : [];
  return {
    version,
    environment: config.env,
    tenant: tenant
      ? { id: tenant.id, key: tenant.key, name: tenant.name, branding: brandingOf(tenant) }
      : null,
    password_login: tenant?.settings.password_login !== "off",
    registration: tenant ? isRegistrationOpen(config, tenant) : true,
    passkeys: hasPasskeys(platform, tenant, request),
    providers: providers
      .filter(({ enabled }) => enabled)
      .map(({ id, name }) => ({ key: id, name })),
    captured_mail: !isProduction && config.mail === "capture",
    first_sign_in: !isProduction && !(await hasAdministratorSignedIn(platform)),
  };
}

/** A tenant's settings are its own; what is no text is not shown. */
const brandingOf = ({ settings }: Tenant): Record<string, string> =>
  Object.fromEntries(
    Object.entries(Object(settings.branding)).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    ),
  );

function hasPasskeys({ config }: Platform, tenant: Tenant | undefined, request: RequestInfo) {
  const name = canonicalHost(request.host, badHostHeader);
  return sitesOf(config, tenant).some(({ origins }) =>
    origins.some((origin) => new URL(origin).hostname === name),
  );
}
