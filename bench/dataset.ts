/**
 * The rows that everything is measured on: 1000 tenants of 200 contacts. Ids follow from ordinals, so
 * that wrk, autocannon and pgbench can each choose a tenant and one of its contacts at random
 * without a list of 200,000 ids.
 */
import type pg from "pg";

export const tenantCount = 1000;
export const contactsPerTenant = 200;

/** Tenants that have a database of their own follow the pool's in number. */
export const firstDatabaseTenant = 10_001;

const tenantIdPrefix = "01900000-0000-7000-8000-";
export const contactIdPrefix = "01910000-0000-7000-8000-";

const digits = (ordinal: number) => String(ordinal).padStart(12, "0");

export const tenantId = (ordinal: number): string => tenantIdPrefix + digits(ordinal);

/** @param index from 1 to `contactsPerTenant` */
export const contactId = (ordinal: number, index: number): string =>
  contactIdPrefix + digits(ordinal * 1000 + index);

/** So do tenants by the thousand, which have a few contacts each. */
export const firstSmallTenant = 100_001;
export const contactsPerSmallTenant = 2;

/** The same as expressions for pgbench, of its variables `tenant` and `contact`. */
export const sqlTenantId = `'${tenantIdPrefix}' || lpad(:tenant, 12, '0')`;
export const sqlContactId = `('${contactIdPrefix}' || lpad(:contact, 12, '0'))::uuid`;

/** What a contact of that tenant is called, so that an answer shows whose rows it holds. */
export const contactName = (ordinal: number, index: number): string =>
  `Contact ${index} of tenant ${ordinal}`;

/** A tenant as the load generators know it. */
export interface Caller {
  readonly ordinal: number;
  readonly token: string;
}

/**
 * Writes the contacts of tenants into the database that `client` (the administrator) is in.
 *
 * @param tenants ids, and the ordinals that the contacts' ids and names are made of
 */
export async function insertContacts(
  client: pg.ClientBase,
  tenants: readonly { readonly id: string; readonly ordinal: number }[],
  each = contactsPerTenant,
): Promise<void> {
  await client.query(
    `insert into data.contacts (tenant_id, id, name, email, phone, company, notes)
     select
       tenant.id,
       ($3 || lpad((tenant.ordinal * 1000 + i)::text, 12, '0'))::uuid,
       format('Contact %s of tenant %s', i, tenant.ordinal),
       format('contact%s@tenant%s.example', i, tenant.ordinal),
       format('+1 555 %s', lpad((tenant.ordinal * 1000 + i)::text, 7, '0')),
       format('Company %s', i % 20),
       'Met at the spring fair; wants to be called back about the offer.'
     from unnest($1::uuid[], $2::integer[]) as tenant (id, ordinal)
     cross join generate_series(1, $4::integer) as i
     order by 1, 2`,
    [tenants.map(({ id }) => id), tenants.map(({ ordinal }) => ordinal), contactIdPrefix, each],
  );
}

/**
 * Takes back what inserts have added, so that each round finds the table as the first one did.
 *
 * @returns how many rows there were.
 */
export async function removeInserted(client: pg.ClientBase): Promise<number> {
  const { rowCount } = await client.query("delete from data.contacts where id > $1", [
    `${contactIdPrefix}ffffffffffff`,
  ]);
  await client.query("vacuum data.contacts");
  return rowCount ?? 0;
}
