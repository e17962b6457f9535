/**
 * Kysely on top of the engine. A single statement uses a lane, in its scope; a transaction leases a
 * connection. Neither needs a pool, so a database object is a few small objects around its scope,
 * made per request.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CompiledQuery,
  type ConnectionProvider,
  type DatabaseConnection,
  DefaultQueryExecutor,
  type Dialect,
  type Driver,
  Kysely,
  type KyselyPlugin,
  PostgresAdapter,
  PostgresIntrospector,
  type QueryResult,
  SingleConnectionProvider,
} from "kysely";
import type { Broker } from "../engine/broker.ts";
import { isDatabaseError, isTenantMoved, StatementRefused } from "../engine/errors.ts";
import type { Lanes, Statement } from "../engine/lanes.ts";
import { rulesOf } from "../engine/sql-rules.ts";
import type { Target } from "../engine/target.ts";
import { relocate } from "../lib/call-site.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import {
  alwaysAt,
  maxMoves,
  moveWaitMs,
  type Place,
  type TenantPlace,
  type Where,
} from "./place.ts";
import { QueryCompiler } from "./query-compiler.ts";
import { openTransaction, type TextQuery, transactionDriver } from "./transaction.ts";
import { guardConnection, type WriteGuard } from "./write-guard.ts";

interface Source {
  readonly lanes: Lanes;
  readonly broker: Broker;
  readonly where: Where<Place>;
  readonly guard?: WriteGuard;
}

export interface TenantDatabaseOptions {
  readonly lanes: Lanes;
  readonly broker: Broker;
  readonly where: Where<TenantPlace>;
}

export interface ControlDatabaseOptions {
  readonly lanes: Lanes;
  readonly broker: Broker;
  readonly target: Target & { readonly role: "control" };
}

/**
 * A tenant's tables only: each statement runs in the tenant's scope.
 *
 * @example
 * const contact = await db.selectFrom("contacts").selectAll().where("id", "=",
 * id).executeTakeFirst();
 * await db.transaction().execute(async (tx) => { … });
 */
export class TenantDatabase<Tables> extends Kysely<Tables> {
  /** Runs SQL with `$1` parameters and returns its rows. */
  async query<Row = Record<string, unknown>>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    const { rows } = await this.getExecutor().executeQuery<Row>(rawQuery(text, values));
    return rows;
  }

  /**
   * The same as a tagged template: interpolated values become parameters.
   *
   * @example
   * const rows = await db.sql<{ n: number }>`select count(*)::int as n from contacts where name =
   * ${name}`;
   */
  sql<Row = Record<string, unknown>>(
    texts: TemplateStringsArray,
    ...values: readonly unknown[]
  ): Promise<Row[]> {
    return this.query<Row>(
      texts.reduce((before, text, i) => `${before}$${i}${text}`),
      values,
    );
  }
}

/** Takes a few microseconds; made for each request. */
export function createTenantDatabase<Tables>(
  options: TenantDatabaseOptions,
): TenantDatabase<Tables> {
  return new TenantDatabase<Tables>({
    config,
    dialect,
    driver: transactionDriver,
    executor: new ScopedExecutor(options),
  });
}

/** The control plane's tables, accessed as a role that can't see tenants' rows. */
export function createControlDatabase(options: ControlDatabaseOptions): Kysely<ControlTables> {
  return new Kysely<ControlTables>({
    config,
    dialect,
    driver: transactionDriver,
    executor: new ScopedExecutor({
      lanes: options.lanes,
      broker: options.broker,
      where: alwaysAt({ target: options.target, scope: undefined }),
    }),
  });
}

/**
 * The same database, with a check that runs in the transaction of the first write.
 *
 * @param check gets the transaction, to lock and read in it; if it throws, nothing is written
 */
export function guardWrites<Tables>(
  db: TenantDatabase<Tables>,
  check: (tx: TenantDatabase<Tables>) => Promise<void>,
): { readonly db: TenantDatabase<Tables>; readonly guard: Readonly<WriteGuard> } {
  const executor = db.getExecutor();
  if (!(executor instanceof ScopedExecutor))
    throw new TypeError("the database is already in a transaction");
  const guard: WriteGuard = {
    passed: false,
    check: (connection) =>
      check(
        new TenantDatabase<Tables>({
          config,
          dialect,
          driver: noTransactions,
          executor: executor.withConnectionProvider(new SingleConnectionProvider(connection)),
        }),
      ),
  };
  const guarded = executor.guardedBy(guard);
  return {
    db: new TenantDatabase<Tables>({
      config,
      dialect,
      driver: transactionDriver,
      executor: guarded,
    }),
    guard,
  };
}

const noTransactions: Driver = {
  ...transactionDriver,
  beginTransaction() {
    throw new StatementRefused("a check must not open a transaction: it already runs in one");
  },
};

const compiler = new QueryCompiler();
const adapter = new PostgresAdapter();
const dialect: Dialect = {
  createAdapter: () => adapter,
  createDriver: () => transactionDriver,
  createQueryCompiler: () => compiler,
  createIntrospector: (db) => new PostgresIntrospector(db),
};
const config = { dialect };

/**
 * Sends single statements to lanes directly. Kysely's connection provider would cost three promises
 * per statement.
 */
class ScopedExecutor extends DefaultQueryExecutor {
  readonly #source: Source;

  constructor(source: Source, plugins: readonly KyselyPlugin[] = []) {
    super(compiler, adapter, transactionProvider(source), [...plugins]);
    this.#source = source;
  }

  override executeQuery<Row>(
    query: CompiledQuery,
    ...rest: readonly unknown[]
  ): Promise<QueryResult<Row>> {
    void rest;
    const { lanes, where, guard } = this.#source;
    if (guard?.passed === false && rulesOf(query.sql).kind === "write") {
      return this.#inTransaction<Row>(query);
    }
    const { rows = "objects" } = query as Partial<TextQuery>;
    const statement = { text: query.sql, values: query.parameters, rows };
    const place = where.known();
    const pending = place
      ? lanes.run<Row>(place.target, place.scope, statement)
      : where.find().then(({ target, scope }) => lanes.run<Row>(target, scope, statement));
    // V8 finds the awaiting callers through promise reactions such as this one.
    const recover = (error: unknown): Promise<QueryResult<Row>> => {
      if (isTenantMoved(error)) return this.#runWhereItMoved<Row>(statement);
      // Prepared statements relocate their errors themselves.
      if (rows !== "text" && isDatabaseError(error)) relocate(error, undefined, recover);
      throw error;
    };
    const result = pending.catch(recover);
    return this.plugins.length === 0 ? result : this.#transform(result, query);
  }

  /** A single statement that the fence refused was rolled back, so that it may be run again. */
  async #runWhereItMoved<Row>(statement: Statement): Promise<QueryResult<Row>> {
    const { lanes, where } = this.#source;
    for (let tries = 1; ; tries += 1) {
      const { target, scope } = await where.findAnew();
      try {
        return await lanes.run<Row>(target, scope, statement);
      } catch (error) {
        if (!isTenantMoved(error) || tries === maxMoves) throw error;
        await sleep(moveWaitMs);
      }
    }
  }

  #inTransaction<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const db = new Kysely({ config, dialect, driver: transactionDriver, executor: this });
    return db.transaction().execute((tx) => tx.getExecutor().executeQuery<Row>(query));
  }

  guardedBy(guard: WriteGuard): ScopedExecutor {
    return new ScopedExecutor({ ...this.#source, guard }, this.plugins);
  }

  async #transform<Row>(pending: Promise<QueryResult<Row>>, query: CompiledQuery) {
    let result = (await pending) as QueryResult<Record<string, unknown>>;
    for (const plugin of this.plugins) {
      result = await plugin.transformResult({ result, queryId: query.queryId } as never);
    }
    return result as QueryResult<Row>;
  }

  override stream(): never {
    throw new StatementRefused("stream(): read in pages, by key");
  }

  override withPlugin(plugin: KyselyPlugin): ScopedExecutor {
    return new ScopedExecutor(this.#source, [...this.plugins, plugin]);
  }

  override withPlugins(plugins: readonly KyselyPlugin[]): ScopedExecutor {
    return new ScopedExecutor(this.#source, [...this.plugins, ...plugins]);
  }

  override withPluginAtFront(plugin: KyselyPlugin): ScopedExecutor {
    return new ScopedExecutor(this.#source, [plugin, ...this.plugins]);
  }

  override withoutPlugins(): ScopedExecutor {
    return new ScopedExecutor(this.#source);
  }
}

const transactionProvider = ({ broker, where, guard }: Source): ConnectionProvider => ({
  async provideConnection<Result>(consumer: (connection: DatabaseConnection) => Promise<Result>) {
    const connection = await openTransaction(broker, where);
    try {
      return await consumer(guard ? guardConnection(connection, guard) : connection);
    } finally {
      connection.release();
    }
  },
});

const rawQuery = (sql: string, parameters: readonly unknown[]): CompiledQuery => ({
  sql,
  parameters,
  query: { kind: "RawNode", sqlFragments: [sql], parameters: [] },
  queryId: { queryId: "" },
});
