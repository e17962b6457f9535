import pg from "pg";
import { expect, test } from "vitest";
import { ConfigError } from "../config/config.ts";
import { ConnectionLost, databaseBusy, databaseUnavailable } from "../kernel/engine/errors.ts";
import { DeclarationError } from "../kernel/lib/declaration-error.ts";
import { TablesDiffer } from "../kernel/schema/feature-tables.ts";
import { IsolationError } from "../kernel/schema/isolation-check.ts";
import { MigrationRefused } from "../kernel/schema/ledger.ts";
import { tenantExists } from "../kernel/tenancy/errors.ts";
import { MigrationsDue, NotSetUp } from "../kernel/tenancy/main-server.ts";
import { explain } from "./failure.ts";

const sqlError = (code: string) =>
  Object.assign(new pg.DatabaseError("what the server said", 1, "error"), {
    code,
    severity: "FATAL",
  });

const refused = Object.assign(new Error("connect ECONNREFUSED ::1:1"), {
  code: "ECONNREFUSED",
  address: "::1",
});

const lost = "database_connection_lost";

test.each([
  ["a wrong configuration", new ConfigError(["PORT is wrong"]), "configuration", 1],
  ["tables that are not isolated", new IsolationError([]), "not_isolated", 5],
  ["tables that no feature lists", new TablesDiffer([]), "tables_differ", 5],
  ["a mistake in a feature", new DeclarationError(["notes: x"]), "not_well_declared", 1],
  ["a migration that is refused", new MigrationRefused("no"), "migration_refused", 5],
  ["migrations that are due", new MigrationsDue(["a/0001_b"]), "migrations_due", 5],
  ["an empty database", new NotSetUp("no"), "not_set_up", 1],
  ["an error that clients may see", tenantExists(), "tenant_exists", 1],
  ["a busy database", databaseBusy(), "database_busy", 3],
  [
    "both addresses of localhost",
    new AggregateError([refused, refused]),
    "database_unreachable",
    3,
  ],
  [
    "a wrong password",
    databaseUnavailable({ cause: sqlError("28P01") }),
    "database_login_refused",
    1,
  ],
  ["a database that starts up", sqlError("57P03"), "database_busy", 3],
  ["a broken pipe", Object.assign(new Error("write EPIPE"), { code: "EPIPE" }), lost, 3],
  ["a connection that ended", new Error("Connection terminated unexpectedly"), lost, 3],
  ["a connection that was ended", new Error("Connection terminated"), lost, 3],
  [
    "a connection that ended before",
    new Error("Client has encountered a connection error and is not queryable"),
    lost,
    3,
  ],
  [
    "a connection whose loss the pool found out",
    new ConnectionLost(true, new Error("read ECONNRESET")),
    lost,
    3,
  ],
  ["anything else", new Error("a bug"), "unexpected", 1],
])("%s", (_, error, code, exitCode) => {
  expect(explain(error)).toMatchObject({ code, exitCode });
  expect(explain(error).message).not.toBe("");
});
