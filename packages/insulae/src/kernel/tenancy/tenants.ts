/**
 * The life cycle of tenants: provisioning → active ⇄ suspended → deleted → erased.
 *
 * A tenant is first stored as `provisioning`, which reserves its key; then it is placed, prepared
 * by the caller (its first user), and activated. Only active and suspended tenants are in the
 * catalogue. A failed creation is rolled back; one interrupted by a crash is discarded by the
 * sweep.
 */
import type { Kysely, Transaction } from "kysely";
import type { AccountId, TenantId } from "../lib/ids.ts";
import type { Isolation, Plan, Tenant, TenantStatus } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Catalogue } from "./catalogue.ts";
import {
  hostsRequired,
  moveUnderWay,
  settingsTooLarge,
  tenantExists,
  tenantNotFound,
} from "./errors.ts";
import { claimHosts } from "./hosts.ts";
import { refuseBeyond } from "./ownership.ts";
import type { Provisioning } from "./provisioning.ts";
import type { TenantConfig, TenantConfigs } from "./tenant-config.ts";
import {
  discardTenant,
  type ErasureOptions,
  type HostsFate,
  leaveHosts,
  sweepTenants,
} from "./tenant-erasure.ts";
import { canonicalTenantKey, slugOf } from "./tenant-key.ts";
import { countTenants, listTenants, type TenantFilter, type WantedTenants } from "./tenant-list.ts";
import { findTenant } from "./tenant-queries.ts";
import { restoreTenant } from "./tenant-restore.ts";
import type { TenantSettings } from "./tenant-settings.ts";

export interface NewTenant {
  /** Chosen by people and canonicalised; see `canonicalTenantKey`. */
  readonly key: string;
  readonly name: string;
  /** Default `pool`. */
  readonly isolation?: Isolation | undefined;
  readonly plan?: Plan | undefined;
  readonly hosts?: readonly string[] | undefined;
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  readonly ownerAccountId?: AccountId | undefined;
  /** How many tenants the owner may own, including this one; absent or 0: no limit. */
  readonly ownerLimit?: number | undefined;
  /** The name of the server to place it on; default: by the placement rule. */
  readonly server?: string | undefined;
  /** The name of its database or schema if another system prescribes it; default: from its id. */
  readonly placementName?: ((tenant: { readonly number: number }) => string) | undefined;
}

/** A tenant whose hosts are registered already. */
export interface TenantRegistration extends Omit<NewTenant, "key" | "name"> {
  readonly hosts: readonly string[];
  /** Default: the key. */
  readonly name?: string | undefined;
}

export interface TenantChanges {
  readonly name?: string | undefined;
  readonly plan?: Plan | undefined;
  /** Each replaces the current one of its name, as a whole; the others stay. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  /** `settings` are all that there will be, except `limits`, which stays unless given. */
  readonly replaceSettings?: boolean | undefined;
}

type TenantCheck = (current: Tenant) => void;

export interface Tenants {
  /**
   * Creates a tenant, ready to use.
   *
   * @param prepare runs in the new tenant before it is activated, for example to create its first
   * user; if it throws, the creation is rolled back
   * @throws tenantExists, hostTaken, invalidTenantKey, reservedTenantKey, tooManyTenants,
   * settingsTooLarge
   */
  create(tenant: NewTenant, prepare?: (tenant: Tenant) => Promise<void>): Promise<Tenant>;
  /**
   * Creates a tenant for hosts that are registered and either free or reserved for it.
   *
   * @throws hostsRequired, hostNotFound, and the errors of `create`
   * @example
   * await app.hosts.register("acme.example.com");
   * await app.tenants.register("acme", { hosts: ["acme.example.com"] });
   */
  register(key: string, tenant: TenantRegistration): Promise<Tenant>;
  /** @param reference its id, key, slug or number */
  find(reference: string): Promise<Tenant | undefined>;
  /** @throws tenantNotFound */
  get(reference: string): Promise<Tenant>;
  /** The part that other programs may read; see `tenant-config.ts`. @throws tenantNotFound */
  config(reference: string): Promise<TenantConfig>;
  /** By default those that are active or suspended, newest first. */
  list(filter: TenantFilter): Promise<Tenant[]>;
  count(wanted: WantedTenants): Promise<number>;
  /**
   * @param check receives the current tenant, locked; if it throws, nothing changes
   * @throws tenantNotFound, settingsTooLarge
   */
  update(id: TenantId, changes: TenantChanges, check?: TenantCheck): Promise<Tenant>;
  /**
   * Transfers the tenant to another account.
   *
   * @param hand the work that goes with it. Runs one at a time, and only while the tenant is owned
   * by `from` (undefined: nobody); if it throws, the owner stays
   * @param limit how many tenants `to` may own, including this one; 0: no limit
   * @throws tenantNotFound if `from` does not own it (any more); tooManyTenants
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
  /**
   * Deletes the tenant: requests to it fail at once; its rows are erased after the grace period.
   *
   * @throws tenantNotFound, moveUnderWay until its move has cut over
   */
  delete(id: TenantId, check?: TenantCheck): Promise<void>;
  /** A deleted tenant whose rows are still there. @param id other references may be another's by now */
  findDeleted(id: string): Promise<Tenant | undefined>;
  /**
   * Takes a deletion back, until the rows are erased. Hosts, certificates and e-mail domains stay gone.
   *
   * @throws tenantNotFound, notRestorable, tenantExists if another tenant has its key by now
   */
  restore(id: TenantId): Promise<Tenant>;
  /** Deletes the tenant but keeps its hosts registered, as free. @throws tenantNotFound */
  unregister(reference: string): Promise<void>;
  /** Erases tenants past their grace period and interrupted creations. @param signal stops it */
  sweep(signal?: AbortSignal): Promise<void>;
}

export interface TenantsOptions extends ErasureOptions {
  readonly provisioning: Pick<Provisioning, "place">;
  readonly catalogue: Catalogue;
  readonly configs: TenantConfigs;
  readonly baseDomain: string;
  readonly defaultPlan: Plan;
  /** Validates the application's settings. @throws validationFailed */
  readonly checkSettings?: TenantSettings<unknown>["check"] | undefined;
  readonly deletedTenantDays: number;
}

export function createTenants(options: TenantsOptions): Tenants {
  const { control, catalogue, configs, log } = options;

  /** Takes effect at once in this process, and in the others when they receive the announcement. */
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
    columnsFor: (current: Tenant) => {
      name?: string;
      plan?: string;
      settings?: string;
      status?: "active" | "suspended";
    },
  ): Promise<Tenant> => {
    await control.transaction().execute(async (tx) => {
      const set = columnsFor(await lockTenant(tx, id));
      if (Object.keys(set).length === 0) return;
      await tx
        .updateTable("control.tenants")
        .set(set)
        .where("id", "=", id)
        .where("status", "in", ["active", "suspended"])
        .execute();
    });
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
        log.error(
          { err: cause, tenant_id: id },
          "Could not roll back a failed creation; the sweep will",
        ),
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
    count: (wanted) => countTenants(control, wanted),
    async update(id, { name, plan, settings, replaceSettings = false }, check) {
      refuseLarge(settings);
      if (settings) options.checkSettings?.(settings);
      return change(id, (current) => {
        check?.(current);
        const kept = replaceSettings ? onlyLimits(current) : current.settings;
        const merged = settings && { ...kept, ...settings };
        refuseLarge(merged);
        return {
          ...(name !== undefined && { name }),
          ...(plan !== undefined && { plan }),
          ...(merged && { settings: JSON.stringify(merged) }),
        };
      });
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
    suspend: (id) => change(id, () => ({ status: "suspended" })),
    resume: (id) => change(id, () => ({ status: "active" })),
    delete: (id, check) => remove(id, "given up", check),
    findDeleted: async (id) =>
      isUuid.test(id) ? findTenant(control, { by: "id", value: id }, "deleted") : undefined,
    async restore(id) {
      await restoreTenant(control, id);
      forget(id);
      return getById(id);
    },
    unregister: async (reference) => remove((await get(reference)).id, "kept"),
    sweep: (signal) => sweepTenants(options, signal),
  };
}

const isUuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** The tenant, locked until the transaction ends. @throws tenantNotFound */
async function lockTenant(tx: Kysely<ControlTables>, id: TenantId): Promise<Tenant> {
  await tx.selectFrom("control.tenants").select("id").where("id", "=", id).forUpdate().execute();
  const tenant = await findTenant(tx, { by: "id", value: id });
  if (!tenant) throw tenantNotFound();
  return tenant;
}

/**
 * Settings are kept in every process's memory and in Redis, are in every list of tenants, and are
 * partly public.
 */
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

const onlyLimits = ({ settings: { limits } }: Tenant) => (limits === undefined ? {} : { limits });

/**
 * Inserts the tenant, which reserves its key, slug and hosts.
 *
 * @param registered the hosts exist already
 */
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
  const moving = await tx
    .selectFrom("control.moves")
    .select("id")
    .where("tenant_id", "=", id)
    .where("state", "not in", ["kept", "clearing", "done", "aborted"])
    .executeTakeFirst();
  if (moving) throw moveUnderWay({ members: { move: moving.id } });
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
