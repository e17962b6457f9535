/**
 * The main server as it is: for whoever may only look (`insulae doctor`, `insulae migrate status`),
 * and for a server that must not migrate when it starts. Nothing is made or changed here; that is
 * `bootMainServer`.
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

/** The database is there, and Insulae has never been set up in it. */
export class NotSetUp extends Error {
  override readonly name = "NotSetUp";
}

/** This version brings migrations that the main database lacks, and it was not to migrate. */
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
  /** Whether migrations must not be due, and tenants must be isolated. */
  readonly check: boolean;
  /** Whether the application must have all features that the database has. */
  readonly refuseForeign?: boolean;
  readonly log?: Logger;
}

/** @throws NotSetUp; FeaturesMissing; where it is to check, MigrationsDue, IsolationError and TablesDiffer. */
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

/** What the main database has and lacks: its functions, the control plane, and the pool. */
export async function mainPlans(
  client: pg.Client,
  migrations: Migrations,
): Promise<readonly SchemaPlan[]> {
  const schemas: readonly (readonly [string, readonly MigrationSet[]])[] = [
    ["app", [migrations.app]],
    ["control", [migrations.control]],
    [dataSchema, migrations.features],
  ];
  const plans: SchemaPlan[] = [];
  for (const [schema, sets] of schemas) {
    plans.push({ schema, ...planOf(sets, await readLedger(client, schema)) });
  }
  return plans;
}

/**
 * Runs `fn` as the owner, in a transaction that can't write.
 *
 * @param client the administrator, in a database of Insulae's.
 * @throws NotSetUp if it is not, or not yet.
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

const notSetUp = "Insulae is not set up in this database yet: run `insulae migrate up`.";
