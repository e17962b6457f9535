/**
 * What dialects have in common. A dialect is the API of another system, by its documentation: its
 * paths, fields, statuses and errors, as thin routes over what the features do. Nothing of it leaks
 * into them.
 */
import { Type } from "typebox";
import { AppError, defineError } from "../kernel/errors.ts";
import type { Platform } from "../kernel/platform.ts";
import { tenantAccessDenied } from "../kernel/tenancy/errors.ts";
import type { Tenant } from "../kernel/tenancy/tenant.ts";

/** Which tenant that is, and whether it is there, is nobody's secret. */
export const noDefaultTenant = defineError(
  "no_default_tenant",
  404,
  "There is no tenant for requests that name none",
);

/**
 * The tenant of a request that says none: these systems' documents call plain `localhost`, and mean
 * `DEFAULT_TENANT` (default `demo_tenant`, in production none).
 *
 * @throws noDefaultTenant, with what to do, while it is not there
 */
export async function tenantOrDefault(
  platform: Platform,
  known: Tenant | undefined,
): Promise<Tenant> {
  const tenant = known ?? (await findDefault(platform));
  if (tenant) return tenant;
  const { defaultTenant } = platform.config;
  throw noDefaultTenant({
    detail:
      defaultTenant === undefined
        ? "Say which tenant by host or X-Tenant: no DEFAULT_TENANT is set for requests that name none"
        : `There is no tenant ${defaultTenant}: make it, or say another by host or X-Tenant`,
  });
}

export async function findDefault({ config, tenants }: Platform): Promise<Tenant | undefined> {
  const { defaultTenant } = config;
  const tenant = defaultTenant === undefined ? undefined : await tenants.find(defaultTenant);
  return tenant?.status === "active" ? tenant : undefined;
}

/** Whether it is this error, as against one that something else has thrown. */
export const isError = (error: unknown, ...codes: readonly string[]): error is AppError =>
  error instanceof AppError && codes.includes(error.code);

/**
 * What a dialect says of an error: what is wrong here, and which permission, limit or setting it is about.
 * One refusal's words are prescribed, and a client may compare them.
 */
export const messageOf = ({ code, title, detail }: AppError): string =>
  code === tenantAccessDenied.code ? title : (detail ?? title);

/** Pages by number, as two of the systems have them. */
export const pageNumbers = {
  page: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 200 })),
};

export interface PageNumbers {
  readonly page?: number;
  readonly page_size?: number;
}

export const pageOf = ({ page = 1, page_size: size = 25 }: PageNumbers) => ({
  page,
  size,
  offset: (page - 1) * size,
});
