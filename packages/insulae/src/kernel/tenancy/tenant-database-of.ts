/** A tenant's database object, which follows the tenant when it is moved. */

import { alwaysAt, type TenantPlace, type Where } from "../data/place.ts";
import { createTenantDatabase, type TenantDatabase } from "../data/tenant-database.ts";
import type { Broker } from "../engine/broker.ts";
import type { Lanes } from "../engine/lanes.ts";
import type { Tenant } from "../model/tenant.ts";
import type { Catalogue } from "./catalogue.ts";
import type { Plans } from "./plans.ts";

export type DatabaseOf = <Tables>(tenant: Tenant) => TenantDatabase<Tables>;

interface Options {
  readonly lanes: Lanes;
  readonly broker: Broker;
  readonly plans: Plans;
}

/** @param catalogue where tenants are found again; without one, they stay where they were */
export function createDatabaseOf(
  { lanes, broker, plans }: Options,
  catalogue?: Catalogue,
): DatabaseOf {
  const placeOf = (tenant: Tenant): TenantPlace => {
    const { serverId, database, schema, role } = tenant.placement;
    return {
      target: { serverId, database, role: "app" },
      scope: {
        tenantId: tenant.id,
        schema,
        role,
        quotas: plans.settingOf(tenant),
        payer: tenant.ownerAccountId,
      },
      isMoving: tenant.isMoving === true,
    };
  };
  return (tenant) =>
    createTenantDatabase({
      lanes,
      broker,
      where: catalogue ? followed(tenant, catalogue, placeOf) : alwaysAt(placeOf(tenant)),
    });
}

function followed(
  first: Tenant,
  catalogue: Catalogue,
  placeOf: (tenant: Tenant) => TenantPlace,
): Where<TenantPlace> {
  const lookup = { by: "id", value: first.id } as const;
  let seen = first;
  let place = placeOf(first);
  /** The catalogue has none that is deleted, or not yet made: those stay where they are. */
  const placeNow = (found: Tenant | undefined): TenantPlace => {
    if (found !== undefined && found !== seen) {
      seen = found;
      place = placeOf(found);
    }
    return place;
  };
  const find = async () => placeNow(await catalogue.find(lookup));
  return {
    known() {
      const found = catalogue.findKnown(lookup);
      return found && placeNow(found);
    },
    find,
    findAnew() {
      catalogue.forget(first.id);
      return find();
    },
  };
}
