/**
 * A tenant's life: provisioning → active ⇄ suspended → deleted → erased.
 *
 * A tenant is written down first (`provisioning`, so that its key is taken), then placed, then
 * prepared by whoever creates it (its first user), then made active. Only an active tenant is in the
 * catalogue; a creation that fails is taken back, and one that a crash cut short is swept.
 */
import { type Kysely, type RawBuilder, sql, type Transaction } from "kysely";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Catalogue } from "./catalogue.ts";
import { hostsRequired, settingsTooLarge, tenantExists, tenantNotFound } from "./errors.ts";
import { claimHosts } from "./hosts.ts";
import { refuseBeyond } from "./ownership.ts";
import type { Provisioning } from "./provisioning.ts";
import type { AccountId, Isolation, Plan, Tenant, TenantId, TenantStatus } from "./tenant.ts";
import type { TenantConfig, TenantConfigs } from "./tenant-config.ts";
import {
  discardTenant,
  type ErasureOptions,
  type HostsFate,
  leaveHosts,
  sweepTenants,
} from "./tenant-erasure.ts";
import { canonicalTenantKey, slugOf } from "./tenant-key.ts";
import { findTenant, listTenants, type TenantFilter } from "./tenant-queries.ts";
import type { TenantSettings } from "./tenant-settings.ts";

export interface NewTenant {
  /** Chosen by people; made canonical. See `canonicalTenantKey`. */
  readonly key: string;
  readonly name: string;
  /** Default `pool`. */
  readonly isolation?: Isolation | undefined;
  readonly plan?: Plan | undefined;
  readonly hosts?: readonly string[] | undefined;
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  readonly ownerAccountId?: AccountId | undefined;
  /** How many tenants the owner may own with this one; absent, or 0: any number. */
  readonly ownerLimit?: number | undefined;
  /** The name of the server to place it on; default: by the placement rule. */
  readonly server?: string | undefined;
  /** Of its database or schema, where another system prescribes it; default: from its id. */
  readonly placementName?: ((tenant: { readonly number: number }) => string) | undefined;
}

/** Of a tenant whose hosts are registered already. */
export interface TenantRegistration extends Omit<NewTenant, "key" | "name"> {
  readonly hosts: readonly string[];
  /** Default: the key. */
  readonly name?: string | undefined;
}

export interface TenantChanges {
  readonly name?: string | undefined;
  readonly plan?: Plan | undefined;
  /** Replace all but `limits`, which stays unless it is given. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
}

type TenantCheck = (current: Tenant) => void;

export interface Tenants {
  /**
   * Makes a tenant: placed, migrated, ready.
   *
   * @param prepare runs in the new tenant before it is active, such as to make its first user; if
   *   it throws, there is no tenant.
   * @throws tenantExists, hostTaken, invalidTenantKey, reservedTenantKey, tooManyTenants,
   *   settingsTooLarge
   */
  create(tenant: NewTenant, prepare?: (tenant: Tenant) => Promise<void>): Promise<Tenant>;
  /**
   * Makes a tenant of hosts that have been registered, and are free or wait for it.
   *
   * @throws hostsRequired, hostNotFound, and what `create` throws
   * @example
   * await app.hosts.register("acme.example.com");
   * await app.tenants.register("acme", { hosts: ["acme.example.com"] });
   */
  register(key: string, tenant: TenantRegistration): Promise<Tenant>;
  /** @param reference its id, key, slug or number. */
  find(reference: string): Promise<Tenant | undefined>;
  /** @throws tenantNotFound */
  get(reference: string): Promise<Tenant>;
  /** What programs beside this one may know of it; see `tenant-config.ts`. @throws tenantNotFound */
  config(reference: string): Promise<TenantConfig>;
  /** Newest first. */
  list(filter: TenantFilter): Promise<Tenant[]>;
  count(filter: Pick<TenantFilter, "status" | "ownerAccountId">): Promise<number>;
  /**
   * @param check gets the tenant as it is, locked; what it throws keeps it so.
   * @throws tenantNotFound, settingsTooLarge
   */
  update(id: TenantId, changes: TenantChanges, check?: TenantCheck): Promise<Tenant>;
  /**
   * Gives the tenant to another account.
   *
   * @param hand what has to be done with it; of several at once, one at a time, and only while the
   *   tenant is `from`'s (undefined: nobody's). If it throws, the tenant stays.
   * @param limit how many tenants `to` may own with this one; 0: any number.
   * @throws tenantNotFound if it is not, or not any more; tooManyTenants
   */
  transfer(
    id: TenantId,
    {
      from,
      to,
      limit,
    }: { readonly from: AccountId | undefined; readonly to: AccountId; readonly limit: number },
    hand: (tx: Transaction<ControlTables>) => Promise<void>,
  ): Promise<Tenant>;
  suspend(id: TenantId): Promise<Tenant>;
  resume(id: TenantId): Promise<Tenant>;
  /** Nothing answers for it from now on; its rows are erased after the grace period. */
  delete(id: TenantId, check?: TenantCheck): Promise<void>;
  /** Deletes it, but its hosts stay registered, without a tenant. @throws tenantNotFound */
  unregister(reference: string): Promise<void>;
  /** Erases what is past its grace period, and what a crash left half made. @param signal ends it. */
  sweep(signal?: AbortSignal): Promise<void>;
}

export interface TenantsOptions extends ErasureOptions {
  readonly provisioning: Pick<Provisioning, "place">;
  readonly catalogue: Catalogue;
  readonly configs: TenantConfigs;
  readonly baseDomain: string;
  readonly defaultPlan: Plan;
  /** What the application says of settings. @throws validationFailed */
  readonly checkSettings?: TenantSettings<unknown>["check"] | undefined;
  readonly deletedTenantDays: number;
}

export function createTenants(options: TenantsOptions): Tenants {
  const { control, catalogue, configs, log } = options;

  /** In this process at once, in the others when they are told. */
  const forget = (id: TenantId): void => {
    catalogue.forget(id);
    configs.forget(id);
  };
  const get: Tenants["get"] = async (reference) => {
    const tenant = await catalogue.findByReference(reference);
    if (!tenant) throw tenantNotFound();
    return tenant;
  };

  const getById = async (id: TenantId, ...statuses: TenantStatus[]): Promise<Tenant> => {
    const tenant = await findTenant(control, { by: "id", value: id }, ...statuses);
    if (!tenant) throw tenantNotFound();
    return tenant;
  };

  /** Changes a living tenant. */
  const change = async (
    id: TenantId,
    set: {
      name?: string;
      plan?: string;
      settings?: RawBuilder<string>;
      status?: "active" | "suspended";
    },
    check?: TenantCheck,
  ): Promise<Tenant> => {
    const apply = async (db: Kysely<ControlTables>) => {
      if (check) check(await lockTenant(db, id));
      if (Object.keys(set).length === 0) return;
      await db
        .updateTable("control.tenants")
        .set(set)
        .where("id", "=", id)
        .where("status", "in", ["active", "suspended"])
        .execute();
    };
    await (check ? control.transaction().execute(apply) : apply(control));
    forget(id);
    return getById(id);
  };

  const make = async (
    input: NewTenant,
    prepare?: (tenant: Tenant) => Promise<void>,
    registered = false,
  ): Promise<Tenant> => {
    refuseLarge(input.settings);
    options.checkSettings?.(input.settings ?? {});
    const { id, number } = await reserve(options, input, registered);
    const row = control.updateTable("control.tenants").where("id", "=", id);
    try {
      const { isolation = "pool", server } = input;
      const name = input.placementName?.({ number });
      const placement = await options.provisioning.place(id, { isolation, server, name });
      await row.set({ placement_id: placement.id }).execute();
      if (prepare) await prepare(await getById(id, "provisioning"));
      await row.set({ status: "active" }).execute();
    } catch (error) {
      await discardTenant(options, id, registered ? "kept" : "given up").catch((cause: unknown) =>
        log.error({ err: cause, tenant_id: id }, "A half-made tenant is left to the sweep"),
      );
      throw error;
    }
    forget(id);
    return getById(id);
  };

  const remove = async (id: TenantId, hosts: HostsFate, check?: TenantCheck): Promise<void> => {
    await control.transaction().execute(async (tx) => {
      if (check) check(await lockTenant(tx, id));
      await markDeleted(tx, id, hosts, options.deletedTenantDays);
    });
    forget(id);
  };

  return {
    create: (input, prepare) => make(input, prepare),
    async register(key, { name = key, ...tenant }) {
      if (tenant.hosts.length === 0) throw hostsRequired();
      return make({ ...tenant, key, name }, undefined, true);
    },
    find: async (reference) => catalogue.findByReference(reference),
    get,
    async config(reference) {
      const config = await configs.find((await get(reference)).id);
      if (!config) throw tenantNotFound();
      return config;
    },
    list: (filter) => listTenants(control, filter),
    async count({ status, ownerAccountId }) {
      const { count } = await control
        .selectFrom("control.tenants")
        .select((eb) => eb.fn.countAll<string>().as("count"))
        .where("status", "in", status ? [status] : ["active", "suspended"])
        .$if(ownerAccountId !== undefined, (query) =>
          query.where("owner_account_id", "=", (ownerAccountId ?? null) as AccountId | null),
        )
        .executeTakeFirstOrThrow();
      return Number(count);
    },
    async update(id, { name, plan, settings }, check) {
      refuseLarge(settings);
      if (settings) options.checkSettings?.(settings);
      const set = {
        ...(name !== undefined && { name }),
        ...(plan !== undefined && { plan }),
        ...(settings !== undefined && { settings: withLimits(settings) }),
      };
      return change(id, set, check);
    },
    async transfer(id, { from, to, limit }, hand) {
      await control.transaction().execute(async (tx) => {
        await refuseBeyond(tx, to, limit);
        const { numUpdatedRows } = await tx
          .updateTable("control.tenants")
          .set({ owner_account_id: to })
          .where("id", "=", id)
          .where("owner_account_id", "is not distinct from", from ?? null)
          .where("status", "=", "active")
          .executeTakeFirst();
        if (numUpdatedRows === 0n) throw tenantNotFound();
        await hand(tx);
      });
      forget(id);
      return getById(id);
    },
    suspend: (id) => change(id, { status: "suspended" }),
    resume: (id) => change(id, { status: "active" }),
    delete: (id, check) => remove(id, "given up", check),
    unregister: async (reference) => remove((await get(reference)).id, "kept"),
    sweep: (signal) => sweepTenants(options, signal),
  };
}

/** The tenant, which nobody else changes until the transaction ends. @throws tenantNotFound */
async function lockTenant(tx: Kysely<ControlTables>, id: TenantId): Promise<Tenant> {
  await tx.selectFrom("control.tenants").select("id").where("id", "=", id).forUpdate().execute();
  const tenant = await findTenant(tx, { by: "id", value: id });
  if (!tenant) throw tenantNotFound();
  return tenant;
}

/** They are in every process's memory, in Redis, in each list of tenants, and some are for everybody to see. */
const maxSettingsBytes = 32 * 1024;

/** @throws settingsTooLarge */
function refuseLarge(settings: NewTenant["settings"]): void {
  const bytes = Buffer.byteLength(JSON.stringify(settings ?? {}));
  if (bytes <= maxSettingsBytes) return;
  throw settingsTooLarge({
    detail: `A tenant's settings can have at most ${maxSettingsBytes} bytes as JSON. These have ${bytes}.`,
    members: { limit: maxSettingsBytes },
  });
}

/** What replaces a tenant's settings: without limits of its own, those that it has stay. */
const withLimits = (settings: Readonly<Record<string, unknown>>): RawBuilder<string> =>
  sql`jsonb_strip_nulls(jsonb_build_object('limits', settings -> 'limits'))
      || ${JSON.stringify(settings)}::jsonb`;

/** Writes the tenant down, so that its key, slug and hosts are taken. @param registered its hosts are. */
async function reserve(
  options: TenantsOptions,
  input: NewTenant,
  registered: boolean,
): Promise<{ readonly id: TenantId; readonly number: number }> {
  const key = canonicalTenantKey(input.key);
  const { ownerAccountId, ownerLimit = 0 } = input;
  return options.control.transaction().execute(async (tx) => {
    if (ownerAccountId) await refuseBeyond(tx, ownerAccountId, ownerLimit);
    const row = await tx
      .insertInto("control.tenants")
      .values({
        key,
        slug: slugOf(key),
        name: input.name,
        plan: input.plan ?? options.defaultPlan,
        settings: JSON.stringify(input.settings ?? {}),
        owner_account_id: ownerAccountId ?? null,
      })
      .onConflict((conflict) => conflict.doNothing())
      .returning(["id", "number"])
      .executeTakeFirst();
    if (!row) {
      throw tenantExists(registered ? { detail: `tenant ${key} is already registered` } : {});
    }
    await claimHosts(tx, input.hosts ?? [], {
      tenant: { id: row.id, key },
      baseDomain: options.baseDomain,
      registered,
    });
    return { id: row.id, number: Number(row.number) };
  });
}

async function markDeleted(
  tx: Transaction<ControlTables>,
  id: TenantId,
  hosts: HostsFate,
  keptDays: number,
): Promise<void> {
  const now = new Date();
  const { numUpdatedRows } = await tx
    .updateTable("control.tenants")
    .set({
      status: "deleted",
      deleted_at: now,
      erase_after: new Date(now.getTime() + keptDays * 86_400_000),
    })
    .where("id", "=", id)
    .where("status", "in", ["active", "suspended"])
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw tenantNotFound();
  await leaveHosts(tx, id, hosts);
  await tx.deleteFrom("control.host_claims").where("tenant_id", "=", id).execute();
  await tx.deleteFrom("control.client_certificates").where("tenant_id", "=", id).execute();
  await tx.deleteFrom("control.email_domains").where("tenant_id", "=", id).execute();
}
