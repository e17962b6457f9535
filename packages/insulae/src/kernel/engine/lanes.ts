/**
 * The way of single statements: each goes over a lane of its target, in its scope, in one round trip
 * (see `batch.ts`), together with other tenants' statements.
 *
 * Whoever is no longer interested in an answer drops it: a statement that has been sent runs to its
 * end, since others share its connection.
 */

import { failureName, type TraceSpan } from "../telemetry/tracing.ts";
import type { RowMode, StatementResult } from "./batch.ts";
import type { Broker } from "./broker.ts";
import { databaseUnavailable, retryLater, StatementRefused } from "./errors.ts";
import { createLaneGroup, type LaneGroup, type LaneLimits } from "./lane-group.ts";
import { dataSchema, type Scope } from "./scope.ts";
import { rulesOf, type StatementKind, type StatementRules } from "./sql-rules.ts";
import { type Target, targetKey } from "./target.ts";

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Known from the text if it is not given. */
  readonly kind?: StatementKind;
  /** `text`: each row is the array of its columns' text. Default `objects`. */
  readonly rows?: RowMode;
}

export interface LanesStats {
  readonly targets: number;
  readonly read: number;
  readonly write: number;
  readonly inFlight: number;
  readonly waiting: number;
}

export interface Lanes {
  /**
   * Runs one statement in the scope.
   *
   * @throws DatabaseError as the server reports it; StatementRefused; databaseBusy,
   *   databaseUnavailable, statementTimeout, writeOutcomeUnknown (503).
   */
  run<Row = Record<string, unknown>>(
    target: Target,
    scope: Scope | undefined,
    statement: Statement,
  ): Promise<StatementResult<Row>>;
  stats(): LanesStats;
  /** Lets what is under way finish and gives all connections back. */
  close(): Promise<void>;
}

export type LanesOptions = {
  readonly broker: Broker;
} & Partial<LaneLimits>;

const ending =
  <T>(span: TraceSpan, resolve: (value: T) => void) =>
  (value: T) => {
    span.end();
    resolve(value);
  };

const failing = (span: TraceSpan, reject: (error: Error) => void) => (error: Error) => {
  span.end({}, failureName(error));
  reject(error);
};

const sweepMs = 50;
const maxTexts = 5_000;

export function createLanes(options: LanesOptions): Lanes {
  const { broker } = options;
  const limits: LaneLimits = {
    maxReadLanes: options.maxReadLanes ?? 4,
    maxWriteLanes: options.maxWriteLanes ?? 8,
    readDepth: options.readDepth ?? 32,
    writeDepth: options.writeDepth ?? 16,
    slowMs: options.slowMs ?? 4,
    heavyMs: options.heavyMs ?? 50,
    idleMs: options.idleMs ?? 5_000,
    queueTimeoutMs: options.queueTimeoutMs ?? 5_000,
  };
  const groups = new Map<string, LaneGroup>();
  const rules = new Map<string, StatementRules>();
  let sweeper: NodeJS.Timeout | undefined;
  let closed = false;

  const rulesFor = (text: string) => {
    let known = rules.get(text);
    if (known === undefined) {
      if (rules.size >= maxTexts) rules.clear();
      known = rulesOf(text);
      rules.set(text, known);
    }
    return known;
  };

  const groupFor = (target: Target) => {
    const key = targetKey(target);
    let group = groups.get(key);
    if (group === undefined) {
      group = createLaneGroup(target, broker, limits);
      groups.set(key, group);
      sweepLater();
    }
    return group;
  };

  const sweepLater = () => {
    sweeper ??= setTimeout(() => setImmediate(sweep), sweepMs).unref();
  };

  // After the sockets were read: answers that are there by now are not late.
  const sweep = () => {
    sweeper = undefined;
    const now = performance.now();
    for (const [key, group] of groups) {
      group.sweep(now);
      if (group.isEmpty) groups.delete(key);
    }
    if (groups.size > 0) sweepLater();
  };

  const sum = (): LanesStats => {
    const total = { targets: groups.size, read: 0, write: 0, inFlight: 0, waiting: 0 };
    for (const group of groups.values()) {
      const stats = group.stats();
      total.read += stats.read;
      total.write += stats.write;
      total.inFlight += stats.inFlight;
      total.waiting += stats.waiting;
    }
    return total;
  };

  return {
    run<Row>(target: Target, scope: Scope | undefined, statement: Statement) {
      return new Promise<StatementResult<Row>>((resolve, reject) => {
        if ((target.role === "app") !== (scope !== undefined)) {
          throw new TypeError(
            `a statement as ${target.role} ${scope ? "takes no" : "needs a"} scope`,
          );
        }
        if (closed) throw databaseUnavailable(retryLater());
        const { text, values, rows = "objects" } = statement;
        const { kind: known, refusedOnLane } = rulesFor(text);
        if (refusedOnLane !== undefined) throw new StatementRefused(refusedOnLane);
        const kind = statement.kind ?? known;
        const span = broker.trace?.(target.database, text);
        groupFor(target).run({
          kind,
          holder: scope?.tenantId ?? "",
          request: {
            text,
            values,
            scope,
            schema: scope?.schema ?? dataSchema,
            rows,
            readOnly: kind === "read",
          },
          // The rows are what the caller's types say of its statement.
          resolve: (span ? ending(span, resolve) : resolve) as (result: StatementResult) => void,
          reject: span ? failing(span, reject) : reject,
          since: performance.now(),
          sent: 0,
          tries: 1,
          slow: false,
        });
      });
    },
    stats: sum,
    async close() {
      closed = true;
      clearTimeout(sweeper);
      for (const group of groups.values()) group.retire();
    },
  };
}
