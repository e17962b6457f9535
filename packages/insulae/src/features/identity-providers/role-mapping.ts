/**
 * From what a provider says of somebody to the roles that they have: one claim, and for each of its
 * values a role. Of several system roles the highest counts, and the default where there is none; of
 * the tenant's own roles all do.
 */

import { type SystemRole, systemRoles } from "../../kernel/feature/feature.ts";

/** The roles that a provider may lead to. */
export type GivenRole = Exclude<SystemRole, "owner">;

export interface RoleMapping {
  /** The names that lead to the claim, outermost first: `["realm_access", "roles"]`. */
  readonly claim: readonly string[];
  readonly values: readonly {
    readonly value: string;
    /** The name of a system role, or the id of one of the tenant's own. */
    readonly role: string;
  }[];
}

export interface MappedRoles {
  readonly system: GivenRole;
  readonly own: {
    /** Those that the mapping knows. */
    readonly known: readonly string[];
    readonly given: readonly string[];
  };
}

export const isSystemRole = (role: string): role is SystemRole =>
  systemRoles.some((name) => name === role);

export function mapRoles(
  {
    role_mapping: mapping,
    default_role: fallback,
  }: {
    readonly role_mapping: RoleMapping | null;
    readonly default_role: GivenRole;
  },
  claims: Readonly<Record<string, unknown>>,
): MappedRoles {
  const said = mapping ? valuesAt(claims, mapping.claim) : new Set();
  const matched = new Set(
    mapping?.values.filter(({ value }) => said.has(value)).map(({ role }) => role),
  );
  const all = new Set(mapping?.values.map(({ role }) => role));
  return {
    // `owner` is not looked for, so whatever a row says, nobody becomes one.
    system: givenRoles.find((role) => matched.has(role)) ?? fallback,
    own: { known: [...all].filter(isOwn), given: [...matched].filter(isOwn) },
  };
}

const givenRoles = ["admin", "manager", "user", "viewer"] as const;
const isOwn = (role: string) => !isSystemRole(role);

/** The texts at the path: one, or a list of them. Own properties only. */
function valuesAt(claims: unknown, path: readonly string[]): ReadonlySet<unknown> {
  let at = claims;
  for (const name of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return new Set();
    at = Reflect.get(at, name);
  }
  return new Set(Array.isArray(at) ? at : [at]);
}
