/**
 * Reads the main server without creating or changing anything: for commands that only look
 * (`insulae doctor`, `insulae migrate status`), and for servers that must not migrate at start.
 * `bootMainServer` is the counterpart that sets it up.
 */
import type pg from "pg";
import { inTransaction, openClient } from "../engine/connect.ts";
import { dataSchema } from "../engine/scope.ts";
import { refuseForeignFeatures } from "../schema/foreign-features.ts";
import { bootCheck } from "../schema/isolation-check.ts";
import { label, type MigrationPlan, planOf, readLedger } from "../schema/ledger.ts";
import type { MigrationSet, Migrations } from "../schema/migration-files.ts";
import type { Logger } from "../telemetry/log.ts";
import { ownerConfig } from "./connection-config.ts";
import { type MainServer, noteFindings } from "./prepare.ts";

/** The database exists, but Insulae has never been set up in it. */
export class NotSetUp extends Error {
  override readonly name = "NotSetUp";
}

/** Migrations of this version are pending in the main database, and migrating was not allowed. */
export class MigrationsDue extends Error {
  override readonly name = "MigrationsDue";

  constructor(due: readonly string[]) {
    super(`Migrations are due (${due.join(", ")}): run \`insulae migrate up\`.`);
  }
}

export interface FindMainServerOptions {
  /** The administrator's URL. */
  readonly url: string;
  readonly migrations: Migrations;
  /** Refuse pending migrations and a lack of isolation. */
  readonly check: boolean;
  /** Refuse if the database has features that the application lacks. */
  readonly refuseForeign?: boolean;
  readonly log?: Logger;
}

/**
 * @throws NotSetUp, FeaturesMissing; with `check` also MigrationsDue, IsolationError, TablesDiffer
 */
export async function findMainServer(options: FindMainServerOptions): Promise<MainServer> {
  const { url, migrations, check, refuseForeign = false } = options;
  const client = await openClient(ownerConfig(url));
  try {
    return await asOwner(client, async () => {
      const control = await client.query("select from pg_namespace where nspname = 'control'");
      if (control.rowCount === 0) throw new NotSetUp(notSetUp);
      const { rows } = await client.query<{ id: string; database: string }>(
        "select id, current_database() as database from control.servers where name = 'main'",
      );
      const [main] = rows;
      if (!main) throw new NotSetUp(notSetUp);
      if (refuseForeign) await refuseForeignFeatures(client, migrations);
      if (check) {
        const due = (await mainPlans(client, migrations)).flatMap(({ pending }) => pending);
        if (due.length > 0) throw new MigrationsDue(due.map(label));
        await bootCheck(client);
        await noteFindings(client, migrations, options.log);
      }
      return { id: main.id, url, database: main.database };
    });
  } finally {
    await client.end();
  }
}

export interface SchemaPlan extends MigrationPlan {
  readonly schema: string;
}

/** The applied and pending migrations of the main database: functions, control plane, pool. */
const mainPlans = (client: pg.Client, migrations: Migrations): Promise<readonly SchemaPlan[]> =>
  plansOf(client, [...controlSets(migrations), [dataSchema, migrations.features]]);

/** The same without the pool, which may be in a state that has no plan. */
export const controlPlans = (
  client: pg.Client,
  migrations: Migrations,
): Promise<readonly SchemaPlan[]> => plansOf(client, controlSets(migrations));

type SchemaSets = readonly [schema: string, sets: readonly MigrationSet[]];

const controlSets = (migrations: Migrations): readonly SchemaSets[] => [
  ["app", [migrations.app]],
  ["control", [migrations.control]],
];

async function plansOf(
  client: pg.Client,
  schemas: readonly SchemaSets[],
): Promise<readonly SchemaPlan[]> {
  const plans: SchemaPlan[] = [];
  for (const [schema, sets] of schemas) {
    plans.push({ schema, ...planOf(sets, await readLedger(client, schema)) });
  }
  return plans;
}

/**
 * Runs `fn` as the owner in a read-only transaction.
 *
 * @param client the administrator, in an Insulae database
 * @throws NotSetUp if it is not set up
 */
export async function asOwner<Result>(
  client: pg.Client,
  fn: () => Promise<Result>,
): Promise<Result> {
  return inTransaction(client, async () => {
    const { rows } = await client.query<{ there: boolean }>(
      `select to_regrole('insulae_owner') is not null
         and to_regnamespace('app') is not null as there`,
    );
    if (!rows[0]?.there) throw new NotSetUp(notSetUp);
    await client.query("set transaction read only; set local role insulae_owner");
    return fn();
  });
}

const notSetUp = "Insulae is not set up in this database yet. Run `insulae migrate up`.";
