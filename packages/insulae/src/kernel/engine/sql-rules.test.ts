import { expect, test } from "vitest";
import { shortestRun } from "../../testing/processor-time.ts";
import { rulesOf } from "./sql-rules.ts";

test.each([
  "select 1",
  "  -- a comment\n select * from notes",
  "/* insert */ select 'insert', \"update\" from notes",
  "with t as (select 1) select * from t",
  "values (1)",
  "select $$ delete $$, $x$ for update $x$",
  "show server_version",
])("%s is a read", (text) => {
  expect(rulesOf(text)).toEqual({
    kind: "read",
    deletes: false,
    refusedOnLane: undefined,
    refusedInTransaction: undefined,
  });
});

test.each([
  "insert into notes default values",
  "with t as (delete from notes returning *) select * from t",
  "select * from notes for update",
  "select * from notes for no key update",
  "select * from notes for key share",
  "select * into copy from notes",
  "select nextval('s')",
  "explain analyze select 1",
  "",
])("%s is a write", (text) => {
  expect(rulesOf(text)).toMatchObject({ kind: "write", refusedOnLane: undefined });
});

test.each([
  "begin",
  "start transaction",
  "COMMIT",
  "end",
  "rollback",
  "abort",
  "/* /* nested */ */ commit",
  "prepare p as select 1",
  "execute p",
  "deallocate all",
  "copy notes to stdout",
  "listen x",
  "unlisten *",
  "discard all",
  "reset all",
  "set role postgres",
  "set session authorization postgres",
  "set local role postgres",
  "set app.current_tenant_id = 'x'",
  "set local app.current_tenant_id = 'x'",
  "set local search_path = other",
  "set local row_security = off",
  "call p()",
  "do $$ begin commit; end $$",
  "select set_config('app.current_tenant_id', 'x', true)",
  "select pg_catalog.SET_CONFIG('a', 'b', false)",
  "select \"set_config\"('a', 'b', false)",
  "select U&\"set\\005fconfig\"('a', 'b', false)",
  "/* /* */ ' */ select set_config('a','b',false) -- '",
  "select e'it\\'s ', set_config('a', 'b', false), ' '",
  "select $a$ ' $a$, set_config('a', 'b', false), ' '",
  "select pg_advisory_lock(1)",
  "select pg_try_advisory_lock_shared(1)",
  "select pg_advisory_unlock_all()",
  "select query_to_xml('select set_config(…)', true, true, '')",
])("%s is refused everywhere", (text) => {
  const { refusedOnLane, refusedInTransaction } = rulesOf(text);
  expect(refusedOnLane).toBeDefined();
  expect(refusedInTransaction).toBeDefined();
});

test.each([
  "set local statement_timeout = '1s'",
  "set constraints all deferred",
  "lock table notes",
  "declare c cursor for select 1",
  "fetch all from c",
  "savepoint s",
  "rollback to savepoint s",
  "release savepoint s",
])("%s needs a transaction", (text) => {
  const { refusedOnLane, refusedInTransaction } = rulesOf(text);
  expect(refusedOnLane).toBeDefined();
  expect(refusedInTransaction).toBeUndefined();
});

test("what is in literals, comments and names of columns is not a command", () => {
  const text = `select 'set_config(', e'\\'set_config', $q$ set_config $q$, -- set_config
    my_set_config, "commit" /* set_config */ from notes where pg_advisory_xact_lock(1) is null`;
  expect(rulesOf(text).refusedOnLane).toBeUndefined();
});

test("50,000 hostile characters are read in a moment", () => {
  for (const piece of ["/*", "'", '"', "$a$", "(", "--", "e'\\", "\\", "a"]) {
    const text = piece.repeat(50_000 / piece.length);
    expect(
      shortestRun(() => rulesOf(text)),
      piece,
    ).toBeLessThan(50);
  }
});
