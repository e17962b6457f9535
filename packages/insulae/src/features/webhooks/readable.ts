/** Decides who may receive which event: those who may read the data that it contains. */

import type { EventDefinition } from "../../kernel/feature/events.ts";
import type { Maker } from "../../kernel/identity/makers.ts";
import type { TenantPrincipal } from "../../kernel/identity/principal.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { EndpointRow } from "./webhooks.queries.ts";

export const eventNotReadable = defineError(
  "event_not_readable",
  403,
  "You lack a permission to read the data in these events",
);

type Catalogue = readonly EventDefinition[];
type Reader = Pick<TenantPrincipal, "permissions">;

/**
 * @param names event names; `*` stands for all. @throws eventNotReadable, which names the missing
 * permissions
 */
export function refuseUnreadable(
  catalogue: Catalogue,
  user: Reader,
  names: readonly string[],
): void {
  const known = new Set<string>(catalogue.map(({ name }) => name));
  if (names.some((name) => name !== "*" && !known.has(name))) throw eventNotReadable();
  const asked = catalogue.filter(({ name }) => names.includes(name) || names.includes("*"));
  const lacking = asked
    .map(({ permission }) => permission)
    .filter((one) => !user.permissions.has(one));
  if (lacking.length === 0) return;
  const permissions = [...new Set(lacking)].sort();
  throw eventNotReadable({
    detail: `To receive these events you need the permission ${permissions.join(", ")}.`,
    members: { permissions },
  });
}

/** Nobody may read an event that no feature declares any more. */
export const mayRead = (
  catalogue: Catalogue,
  permissions: ReadonlySet<string>,
  event: string,
): boolean =>
  catalogue.some(({ name, permission }) => name === event && permissions.has(permission));

/** The webhook's maker, who answers for it; undefined for old webhooks without one. */
export const makerOfEndpoint = (row: EndpointRow): Maker | undefined =>
  row.made_by === null
    ? undefined
    : {
        userId: row.made_by,
        apiKeyId: row.made_with_key,
        certificateId: row.made_with_certificate,
      };
