/**
 * What dialects share. A dialect is the documented API of another system: its paths, fields,
 * statuses and errors, as thin routes on top of the features, which know nothing about dialects.
 */
import { Type } from "typebox";
import type { TenantAudit } from "../kernel/audit/audit.ts";
import { nullable, oneOf } from "../kernel/feature/fields.ts";
import type { Platform } from "../kernel/feature/platform.ts";
import { AppError, defineError } from "../kernel/lib/errors.ts";
import { validationFailed } from "../kernel/lib/http-errors.ts";
import type { Tenant } from "../kernel/model/tenant.ts";
import { tenantAccessDenied } from "../kernel/tenancy/errors.ts";

/** Which tenant is the default, and whether it exists, is not secret. */
export const noDefaultTenant = defineError(
  "no_default_tenant",
  404,
  "There is no tenant for requests that name none",
);

/**
 * The tenant of a request that names none: these systems' documents call plain `localhost` and mean
 * `DEFAULT_TENANT` (default `demo_tenant`, in production none).
 *
 * @throws noDefaultTenant, saying what to do, if it does not exist
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
        ? "The request names no tenant, and DEFAULT_TENANT is not set. Name a tenant by host or X-Tenant."
        : `There is no tenant ${defaultTenant} (DEFAULT_TENANT). Create it, or name another by host or X-Tenant.`,
  });
}

export async function findDefault({ config, tenants }: Platform): Promise<Tenant | undefined> {
  const { defaultTenant } = config;
  const tenant = defaultTenant === undefined ? undefined : await tenants.find(defaultTenant);
  return tenant?.status === "active" ? tenant : undefined;
}

const NamedTenant = Type.Optional(
  nullable(
    Type.Union([Type.String({ minLength: 1, maxLength: 63 }), Type.Integer({ minimum: 1 })], {
      description: "Never selects the tenant: must match the one that host and headers name.",
    }),
  ),
);

/** The tenant named in the body of a log-in or registration. */
export const namedTenant = { tenant: NamedTenant, tenant_id: NamedTenant };

export const namesTenant = ({ tenant, tenant_id }: Naming): boolean =>
  tenant != null || tenant_id != null;

interface Naming {
  readonly tenant?: string | number | null;
  readonly tenant_id?: string | number | null;
}

/**
 * Refuses a body that names an unknown tenant or a different one than the request.
 *
 * @throws tenantAccessDenied
 */
export async function refuseOtherTenant(
  { platform, audit }: { readonly platform: Platform; readonly audit: TenantAudit },
  tenant: Tenant | undefined,
  { tenant: name, tenant_id: id }: Naming,
): Promise<void> {
  for (const named of [name, id]) {
    if (named == null) continue;
    const found = await platform.tenants.find(String(named));
    if (found && found.id === tenant?.id) continue;
    await audit({
      action: "auth.cross_tenant_refused",
      outcome: "refused",
      tenant: tenant ?? null,
      actor: { kind: "anonymous" },
      detail: { request_tenant: found?.key ?? null },
    });
    throw tenantAccessDenied();
  }
}

/** Whether it is an AppError with one of these codes. */
export const isError = (error: unknown, ...codes: readonly string[]): error is AppError =>
  error instanceof AppError && codes.includes(error.code);

/**
 * The message of an error in a dialect: the detail, with the permission, limit or setting
 * concerned. For one refusal the words are prescribed, because a client may compare them.
 */
export const messageOf = ({ code, title, detail }: AppError): string =>
  code === tenantAccessDenied.code ? title : (detail ?? title);

/** Page numbers, as two of the systems use them. */
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

const Place = Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 }));

/** All the paging parameters that the address book's clients use. */
export const listParts = {
  page: pageNumbers.page,
  page_num: pageNumbers.page,
  offset: Place,
  cursor: Place,
  limit: pageNumbers.page_size,
  page_size: pageNumbers.page_size,
};

interface ListParts extends PageNumbers {
  readonly page_num?: number;
  readonly offset?: number;
  /** The number of items to skip: 0, then the `next_cursor` of a response. */
  readonly cursor?: number;
  readonly limit?: number;
}

/** @throws validationFailed if two kinds of paging are combined */
export function partOf(query: ListParts, defaultSize: number) {
  const size = only(query, ["limit", "page_size"]) ?? defaultSize;
  only(query, ["page", "page_num", "offset", "cursor"]);
  const offset = query.offset ?? query.cursor ?? ((query.page ?? query.page_num ?? 1) - 1) * size;
  return { size, offset, page: Math.floor(offset / size) + 1 };
}

/** The one that is given. @throws validationFailed if several are */
export function only<Name extends string, Value>(
  given: { readonly [N in Name]?: Value },
  names: readonly Name[],
): Value | undefined {
  const [first, second] = names.filter((name) => given[name] !== undefined);
  if (first !== undefined && second !== undefined) {
    const message = `cannot be combined with ${first}`;
    throw validationFailed({ errors: [{ pointer: `/query/${second}`, message }] });
  }
  return first && given[first];
}

/** Paging information, under all the names that clients read. */
export const partShown = {
  total: Type.Integer(),
  page: Type.Integer(),
  limit: Type.Integer(),
  total_pages: Type.Integer(),
  has_next: Type.Boolean(),
  has_prev: Type.Boolean(),
  current_cursor: Type.Integer(),
  next_cursor: nullable(Type.Integer({ description: "For `?cursor=`; null on the last page." })),
};

export function showPart({ size, offset, page }: ReturnType<typeof partOf>, total: number) {
  const next = offset + size;
  return {
    total,
    page,
    limit: size,
    total_pages: Math.ceil(total / size),
    has_next: next < total,
    has_prev: offset > 0,
    current_cursor: offset,
    next_cursor: next < total ? next : null,
  };
}

const maxFilters = 5;
const filterParts = ["field", "operator", "value"] as const;
const filterName = (at: number, part: (typeof filterParts)[number]) => `filters[${at}][${part}]`;

/** `?filters[0][field]=name&filters[0][operator]=contains&filters[0][value]=acme`, up to five. */
export function bracketFilters(fields: readonly string[]) {
  const schemas = {
    field: oneOf(fields),
    operator: oneOf(operators),
    value: Type.String({ maxLength: 200 }),
  };
  const names = Array.from({ length: maxFilters }, (_, at) =>
    filterParts.map((part) => [filterName(at, part), Type.Optional(schemas[part])] as const),
  );
  // Only `filtersOf` reads them.
  return Object.fromEntries(names.flat()) as Record<never, never>;
}

const operators = ["eq", "equals", "ne", "contains", "like"] as const;

export interface Filter {
  readonly field: string;
  readonly operator: (typeof operators)[number];
  readonly value: string;
}

/** @throws validationFailed for an incomplete filter */
export function filtersOf(query: object): Filter[] {
  return Array.from({ length: maxFilters }, (_, at) => {
    const [field, operator, value] = filterParts.map((part): unknown =>
      Reflect.get(query, filterName(at, part)),
    );
    if ((field ?? operator ?? value) === undefined) return [];
    const missing = field === undefined ? "field" : value === undefined ? "value" : undefined;
    if (missing) {
      const pointer = `/query/${filterName(at, missing)}`;
      throw validationFailed({ errors: [{ pointer, message: "is required" }] });
    }
    return [{ field, operator: operator ?? "eq", value } as Filter]; // as the schema has it
  }).flat();
}
