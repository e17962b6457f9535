/** What `/metrics` says of PostgreSQL: how long statements take, and what the connections do. */
import { counter, gauge, histogram, type MetricsRegistry } from "../telemetry/metrics.ts";
import type { Broker } from "./broker.ts";
import type { Lanes } from "./lanes.ts";
import type { StatementWatch } from "./pipelined-connection.ts";
import type { DatabaseRole } from "./target.ts";

const labels = ["plane", "way"] as const;

const durations = histogram(
  "insulae_db_statement_duration_seconds",
  "How long statements took, from being sent to the end of their answer, one behind the other on a lane",
  labels,
);
const failures = counter(
  "insulae_db_statement_errors_total",
  "Statements that PostgreSQL refused, or whose answer was lost",
  labels,
);
const connections = gauge(
  "insulae_db_connections",
  "Connections of this process to PostgreSQL, by what they do",
  ["state"],
);
const budget = gauge(
  "insulae_db_connections_max",
  "How many connections this process may have (DB_CONNECTIONS)",
);
const connectionsWaiting = gauge(
  "insulae_db_connections_waiting",
  "Who waits for a connection: lanes to be opened, and transactions",
);
const servers = gauge(
  "insulae_db_server_up",
  "Whether a database server answers (1) or not (0: its tenants get 503)",
  ["server"],
);
const serverConnections = gauge(
  "insulae_db_server_connections",
  "Connections of this process to each database server",
  ["server"],
);
const lanesOpen = gauge("insulae_db_lanes", "Connections that carry many tenants' statements", [
  "kind",
]);
const targets = gauge("insulae_db_lane_targets", "Databases and roles that have lanes");
const inFlight = gauge("insulae_db_lane_statements", "Statements under way on lanes");
const waiting = gauge("insulae_db_lane_statements_waiting", "Statements that wait for a lane");

/** @returns what a connection's statements are told to, by the role that it logs in as. */
export function watchStatements(metrics: MetricsRegistry): (role: DatabaseRole) => StatementWatch {
  return (role) => {
    const plane = role === "app" ? "data" : "control";
    const of = (way: string) => ({
      durations: metrics.histogram(durations, { plane, way }),
      failures: metrics.counter(failures, { plane, way }),
    });
    const [lane, transaction] = [of("lane"), of("transaction")];
    return (inTransaction, milliseconds, failed) => {
      const { durations, failures } = inTransaction ? transaction : lane;
      durations.observe(milliseconds / 1_000);
      if (failed) failures.add();
    };
  };
}

export function measureConnections(
  metrics: MetricsRegistry,
  broker: Broker,
  lanes: Lanes,
  nameOf: (serverId: string) => string,
): void {
  metrics.read(connections, () => {
    const { open, leased, idle } = broker.stats();
    return [
      [leased, { state: "leased" }],
      [idle, { state: "idle" }],
      // Those that are being opened or closed.
      [open - leased - idle, { state: "changing" }],
    ];
  });
  metrics.read(budget, () => [[broker.stats().budget]]);
  metrics.read(connectionsWaiting, () => [[broker.stats().waiting]]);
  metrics.read(servers, () =>
    [...broker.servers()].map(([id, { answers }]) => [answers ? 1 : 0, { server: nameOf(id) }]),
  );
  metrics.read(serverConnections, () =>
    [...broker.servers()].map(([id, { connections }]) => [connections, { server: nameOf(id) }]),
  );
  metrics.read(lanesOpen, () => {
    const { read, write } = lanes.stats();
    return [
      [read, { kind: "read" }],
      [write, { kind: "write" }],
    ];
  });
  metrics.read(targets, () => [[lanes.stats().targets]]);
  metrics.read(inFlight, () => [[lanes.stats().inFlight]]);
  metrics.read(waiting, () => [[lanes.stats().waiting]]);
}
