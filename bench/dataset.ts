/**
 * The measured data: 1000 tenants with 200 contacts each. Ids are derived from ordinals, so that
 * wrk, autocannon and pgbench can choose a tenant and contact at random without a list of 200,000
 * ids.
 */
import type pg from "pg";

export const tenantCount = 1000;
export const contactsPerTenant = 200;

/** Ordinals of tenants with their own database. */
export const firstDatabaseTenant = 10_001;

const tenantIdPrefix = "01900000-0000-7000-8000-";
export const contactIdPrefix = "01910000-0000-7000-8000-";

const digits = (ordinal: number) => String(ordinal).padStart(12, "0");

export const tenantId = (ordinal: number): string => tenantIdPrefix + digits(ordinal);

/** @param index from 1 to `contactsPerTenant` */
export const contactId = (ordinal: number, index: number): string =>
  contactIdPrefix + digits(ordinal * 1000 + index);

/** Ordinals of the thousands of small tenants, with a few contacts each. */
export const firstSmallTenant = 100_001;
export const contactsPerSmallTenant = 2;

/** The same as pgbench expressions, of its variables `tenant` and `contact`. */
export const sqlTenantId = `'${tenantIdPrefix}' || lpad(:tenant, 12, '0')`;
export const sqlContactId = `('${contactIdPrefix}' || lpad(:contact, 12, '0'))::uuid`;

/** The name of that tenant's contact, so that a response reveals whose rows it has. */
export const contactName = (ordinal: number, index: number): string =>
  `Contact ${index} of tenant ${ordinal}`;

/** A tenant as the load generators know it. */
export interface Caller {
  readonly ordinal: number;
  readonly token: string;
}

/**
 * Inserts tenants' contacts into the database that `client` (the administrator) is connected to.
 *
 * @param tenants ids, and the ordinals that contacts' ids and names derive from
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
 * Deletes the rows added by inserts, so that each round starts with the same table.
 *
 * @returns the number of rows
 */
export async function removeInserted(client: pg.ClientBase): Promise<number> {
  const { rowCount } = await client.query("delete from data.contacts where id > $1", [
    `${contactIdPrefix}ffffffffffff`,
  ]);
  await client.query("vacuum data.contacts");
  return rowCount ?? 0;
}
