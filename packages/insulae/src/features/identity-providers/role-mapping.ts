/**
 * Maps a provider's claim to roles. Each value of the claim may map to a role. Of several system
 * roles the highest applies, or the default if there is none; all matching roles of the tenant's
 * own apply.
 */

import { type SystemRole, systemRoles } from "../../kernel/feature/feature.ts";

/** The system roles that a provider may grant. */
export type GivenRole = Exclude<SystemRole, "owner">;

export interface RoleMapping {
  /** The path to the claim, outermost name first: `["realm_access", "roles"]`. */
  readonly claim: readonly string[];
  readonly values: readonly {
    readonly value: string;
    /** The name of a system role, or the id of one of the tenant's own roles. */
    readonly role: string;
  }[];
}

export interface MappedRoles {
  readonly system: GivenRole;
  readonly own: {
    /** All of the tenant's own roles that the mapping mentions. */
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
    // `owner` is not among the candidates, so no mapping can grant it, whatever the row says.
    system: givenRoles.find((role) => matched.has(role)) ?? fallback,
    own: { known: [...all].filter(isOwn), given: [...matched].filter(isOwn) },
  };
}

const givenRoles = ["admin", "manager", "user", "viewer"] as const;
const isOwn = (role: string) => !isSystemRole(role);

/** The strings at the path: one, or a list. Reads own properties only. */
function valuesAt(claims: unknown, path: readonly string[]): ReadonlySet<unknown> {
  let at = claims;
  for (const name of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return new Set();
    at = Reflect.get(at, name);
  }
  return new Set(Array.isArray(at) ? at : [at]);
}
