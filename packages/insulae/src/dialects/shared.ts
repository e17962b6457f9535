/**
 * What dialects have in common. A dialect is the API of another system, by its documentation: its
 * paths, fields, statuses and errors, as thin routes over what the features do. Nothing of it leaks
 * into them.
 */
import { Type } from "typebox";
import { AppError } from "../kernel/errors.ts";
import type { ErrorShape } from "../kernel/feature.ts";
import type { Platform } from "../kernel/platform.ts";
import { tenantAccessDenied, tenantNotFound } from "../kernel/tenancy/errors.ts";
import type { Tenant } from "../kernel/tenancy/tenant.ts";

/**
 * The tenant of a request that says none: these systems' documents call plain `localhost`, and mean
 * `DEFAULT_TENANT` (default `demo_tenant`).
 *
 * @throws tenantNotFound, with what to do, while it is not there
 */
export async function tenantOrDefault(
  platform: Platform,
  known: Tenant | undefined,
): Promise<Tenant> {
  const tenant = known ?? (await findDefault(platform));
  if (tenant) return tenant;
  const { defaultTenant } = platform.config;
  throw tenantNotFound({
    detail: `There is no tenant ${defaultTenant}: make it, or say another by host or X-Tenant`,
  });
}

export async function findDefault({ config, tenants }: Platform): Promise<Tenant | undefined> {
  const tenant = await tenants.find(config.defaultTenant);
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

/** What an error is to a dialect, in which it may be another one. */
export type Meaning = (
  error: AppError,
  request: Parameters<NonNullable<ErrorShape["statusOf"]>>[1],
) => AppError;

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
