/**
 * Migrates a database, or one schema of it, to this version of the application.
 *
 * A migrator holds the schema's advisory lock, so of two concurrent ones the second waits and finds
 * nothing left to do. Each migration is one transaction that also writes the ledger and ends with
 * the isolation check: it is applied completely and isolated, or not at all. If a migrator is
 * killed, its transaction and lock end with its connection.
 *
 * A migration that can't get its locks within `lockTimeoutMs` gives up, because all statements on
 * the table queue behind it, and retries a little later.
 */
import pg from "pg";
import { inTransaction } from "../engine/connect.ts";
import { dataSchema } from "../engine/scope.ts";
import {
  createLedger,
  type LedgerEntry,
  label,
  landedOf,
  type MigrationPlan,
  MigrationRefused,
  place,
  planOf,
  readLedgers,
  strikeLedger,
  versionOf,
  writeLedger,
} from "./ledger.ts";
import type { Migration, MigrationSet, Migrations } from "./migration-files.ts";
import {
  assertIsolated,
  type MigrateOptions,
  runStep,
  runText,
  withSchemaLock,
} from "./migration-step.ts";
import { ensureSchemaRole, retryConcurrent, schemasRole } from "./roles.ts";

export type { MigrateOptions } from "./migration-step.ts";

export interface PlacementOptions extends MigrateOptions {
  /**
   * Creates the schema if it is missing and migrates it in one transaction. Without this, a missing
   * schema is an error: it may just have been dropped.
   */
  readonly create?: boolean;
}

export interface PlacementResult {
  /** The migrations just applied, as `feature/0001_name`. */
  readonly applied: readonly string[];
  /** The number of data-plane migrations that the placement now has. */
  readonly version: number;
}

/** Migrates the control plane (in the main database). @returns the applied migrations */
export async function migrateControlPlane(
  client: pg.Client,
  migrations: Migrations,
  options: MigrateOptions = {},
): Promise<readonly string[]> {
  const app = await migrateAppFunctions(client, migrations, options);
  const control = await migrateSchema(client, "control", [migrations.control], options);
  return [...app, ...control.applied];
}

/**
 * Migrates a placement: the functions of its database, then the features' tables.
 *
 * @param client logged in as the administrator, in the placement's database
 * @throws MigrationRefused if an applied migration was changed, or a table is not isolated
 */
export async function migratePlacement(
  client: pg.Client,
  schema: string,
  migrations: Migrations,
  options: PlacementOptions = {},
): Promise<PlacementResult> {
  const app = await migrateAppFunctions(client, migrations, options);
  if (schema !== dataSchema) await ensureSchemaRole(client, schema);
  await restrictSchema(client, schema);
  const { applied, version } = await migrateSchema(client, schema, migrations.features, options);
  return { applied: [...app, ...applied], version };
}

export interface RevertChoice {
  /** Default 1. */
  readonly steps?: number;
  /** Only these features' migrations. */
  readonly features?: readonly string[];
}

/**
 * The migrations that `revertPlacement` would revert in each schema, last first. The "-- down" part
 * is used as it is now, even if the file was changed since.
 *
 * @throws MigrationRefused if a later one of the same feature has no file here
 */
export async function findRevertible(
  client: pg.Client,
  schemas: readonly string[],
  migrations: Migrations,
  choice: RevertChoice,
): Promise<ReadonlyMap<string, readonly LedgerEntry[]>> {
  const ledgers = await ledgersOf(client, schemas);
  return new Map(
    [...ledgers].map(([schema, ledger]) => [schema, lastLanded(ledger, migrations, choice)]),
  );
}

const lastLanded = (
  ledger: readonly LedgerEntry[],
  migrations: Migrations,
  { steps = 1, features }: RevertChoice,
): readonly LedgerEntry[] => {
  const landed = landedOf(migrations.features, ledger);
  const last = landed
    .filter(({ set }) => features === undefined || features.includes(set))
    .slice(-steps)
    .reverse();
  refuseBelowUnknown(last, landed, ledger);
  return last;
};

/** A later migration whose file isn't here would be left without what it was built on. */
function refuseBelowUnknown(
  wanted: readonly LedgerEntry[],
  landed: readonly LedgerEntry[],
  ledger: readonly LedgerEntry[],
): void {
  const known = new Set(landed.map(place));
  const unknown = ledger.filter((entry) => !known.has(place(entry)));
  const problems = wanted.flatMap((entry) =>
    unknown
      .filter(({ set, number }) => set === entry.set && number > entry.number)
      .map(
        (later) =>
          `${label(entry)} can't be reverted: ${label(later)} was applied after it, and this application doesn't have its file. Restore the file, or use the version of the application that has it.`,
      ),
  );
  if (problems.length > 0) throw new MigrationRefused(problems.join("\n"));
}

/** Reverts the last `steps` migrations of the placement, or of some of its features. */
export async function revertPlacement(
  client: pg.Client,
  schema: string,
  migrations: Migrations,
  options: MigrateOptions & RevertChoice = {},
): Promise<{ readonly reverted: readonly string[]; readonly version: number }> {
  return withSchemaLock(client, schema, options, async () => {
    const ledger = (await ledgersOf(client, [schema])).get(schema) ?? [];
    const loaded = new Set(migrations.features.map(({ name }) => name));
    const byPlace = new Map(
      migrations.features.flatMap((s) => s.migrations.map((m) => [place(m), m])),
    );
    const last = lastLanded(ledger, migrations, options);
    for (const entry of last) {
      const down = byPlace.get(place(entry))?.down;
      if (!down) throw new MigrationRefused(`${label(entry)} has no "-- down" part`);
      await runStep(client, schema, options, async () => {
        await runText(client, down, label(entry));
        await strikeLedger(client, schema, entry);
        await assertIsolated(client, schema, label(entry));
      });
    }
    const version = ledger.filter(({ set }) => loaded.has(set)).length - last.length;
    return { reverted: last.map(label), version };
  });
}

/**
 * The applied, pending and unknown migrations of each placement of a database, or why it would be
 * refused.
 */
export async function placementPlans(
  client: pg.Client,
  schemas: readonly string[],
  migrations: Migrations,
): Promise<ReadonlyMap<string, MigrationPlan | MigrationRefused>> {
  const ledgers = await ledgersOf(client, schemas);
  const planFor = (schema: string) => {
    try {
      return planOf(migrations.features, ledgers.get(schema) ?? []);
    } catch (error) {
      if (error instanceof MigrationRefused) return error;
      throw error;
    }
  };
  return new Map(schemas.map((schema) => [schema, planFor(schema)]));
}

/**
 * The placements of a database that need no migration, with their versions: a few statements for
 * all of them, where checking each takes twenty.
 */
export async function findCurrent(
  client: pg.Client,
  schemas: readonly string[],
  migrations: Migrations,
): Promise<ReadonlyMap<string, number>> {
  const app = await planFor(client, "app", [migrations.app]);
  if (app.pending.length > 0) return new Map();
  const plans = await placementPlans(client, schemas, migrations);
  const restricted = new Set(await findRestricted(client, schemas));
  return new Map(
    schemas.flatMap((schema) => {
      const plan = plans.get(schema);
      const isCurrent =
        plan && "pending" in plan && plan.pending.length === 0 && restricted.has(schema);
      return isCurrent ? [[schema, versionOf(plan)] as const] : [];
    }),
  );
}

/** The functions are in the schema `app`, independent of the database's placements. */
const migrateAppFunctions = async (
  client: pg.Client,
  migrations: Migrations,
  options: MigrateOptions,
): Promise<readonly string[]> =>
  (await migrateSchema(client, "app", [migrations.app], options)).applied;

async function migrateSchema(
  client: pg.Client,
  schema: string,
  sets: readonly MigrationSet[],
  options: PlacementOptions,
): Promise<PlacementResult> {
  const mustExist = isDataPlane(schema) && !options.create;
  // Usually nothing is pending, and no lock is taken.
  const before = await planFor(client, schema, sets);
  if (before.pending.length === 0 && (await schemaExists(client, schema))) {
    return { applied: [], version: versionOf(before) };
  }

  return withSchemaLock(client, schema, options, async () => {
    const plan = await planFor(client, schema, sets);
    const { pending } = plan;
    const exists = await schemaExists(client, schema);
    if (!exists && mustExist) throw new PlacementMissing(`the schema ${schema} does not exist`);
    // Nobody uses a new schema yet: one transaction suffices.
    if (pending.length > 0) {
      options.note?.(`Migrating the schema ${schema} (migrations: ${pending.length}) …`);
    }
    const steps = exists ? pending.map((migration) => [migration]) : [pending];
    for (const step of steps) {
      await runStep(client, schema, options, async () => {
        if (schema === "app") await client.query(createLedger);
        else if (!exists && isDataPlane(schema)) await createSchema(client, schema);
        for (const migration of step) await apply(client, schema, migration);
        if (isDataPlane(schema)) await assertIsolated(client, schema, nameStep(step));
      });
      options.log?.info({ schema, migrations: step.map(label) }, "migrated");
    }
    return { applied: pending.map(label), version: versionOf(plan) + pending.length };
  });
}

/** A new schema gets all migrations in one step, named after the last. */
function nameStep(step: readonly Migration[]): string {
  const names = step.map(label);
  return names.length > 3 ? `${names.length - 1} migrations and ${names.at(-1)}` : names.join(", ");
}

const isDataPlane = (schema: string) => schema !== "app" && schema !== "control";

async function planFor(
  client: pg.Client,
  schema: string,
  sets: readonly MigrationSet[],
): Promise<MigrationPlan> {
  const ledgers = await ledgersOf(client, [schema]);
  return planOf(sets, ledgers.get(schema) ?? []);
}

const ledgersOf = (client: pg.Client, schemas: readonly string[]) =>
  inTransaction(client, async () => {
    if (await ownerExists(client)) await client.query("set local role insulae_owner");
    return readLedgers(client, schemas);
  });

async function ownerExists(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query("select from pg_roles where rolname = 'insulae_owner'");
  return rows.length > 0;
}

async function schemaExists(client: pg.Client, schema: string): Promise<boolean> {
  const { rows } = await client.query("select from pg_namespace where nspname = $1", [schema]);
  return rows.length > 0;
}

async function createSchema(client: pg.Client, schema: string): Promise<void> {
  const name = pg.escapeIdentifier(schema);
  await client.query(
    `create schema ${name} authorization insulae_owner;
     select app.restrict_schema(${pg.escapeLiteral(schema)})`,
  );
}

/** Restores the privileges on an existing schema, which an earlier version may have created. */
async function restrictSchema(client: pg.Client, schema: string): Promise<void> {
  await retryConcurrent(() =>
    inTransaction(client, async () => {
      await client.query("set local role insulae_owner");
      await client.query(
        "select app.restrict_schema(nspname) from pg_namespace where nspname = $1",
        [schema],
      );
    }),
  );
}

/** The existing schemas whose privileges are as they should be. */
async function findRestricted(
  client: pg.Client,
  schemas: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await inTransaction(client, async () => {
    await client.query("set local role insulae_owner");
    return client.query<{ name: string }>(
      `select nspname as name
       from unnest($1::text[]) as wanted (name)
       join pg_namespace on nspname = wanted.name
       cross join lateral to_regrole(app.schema_user(nspname)::text) as allowed
       where (
           select coalesce(bool_and(acl.grantee = allowed and acl.privilege_type = 'USAGE'), false)
           from aclexplode(nspacl) acl
           where acl.grantee <> nspowner
         ) and (nspname = $2 or exists (
           select from pg_auth_members where roleid = allowed and member = to_regrole($3)
         ))`,
      [schemas, dataSchema, schemasRole],
    );
  });
  return rows.map(({ name }) => name);
}

async function apply(client: pg.Client, schema: string, migration: Migration): Promise<void> {
  await runText(client, migration.up, label(migration));
  await writeLedger(client, schema, migration);
}

/** The schema to migrate does not exist. */
export class PlacementMissing extends Error {
  override readonly name = "PlacementMissing";
}
