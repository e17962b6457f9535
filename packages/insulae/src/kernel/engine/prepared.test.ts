import { expect, test } from "vitest";
import { createPreparedStatements } from "./prepared.ts";

test("a statement is new once for each schema", () => {
  const prepared = createPreparedStatements(10);
  const first = prepared.use("select 1", "data");
  expect(first.isNew).toBe(true);
  expect(prepared.use("select 1", "data")).toEqual({ statement: first.statement, isNew: false });
  expect(prepared.use("select 1", "t_1").isNew).toBe(true);
});

test("the least recently used statement is closed when there are too many", () => {
  const prepared = createPreparedStatements(2);
  prepared.use("a", "data");
  const { statement } = prepared.use("b", "data");
  prepared.use("a", "data");
  prepared.use("c", "data");
  expect(prepared.size).toBe(2);
  expect(prepared.takeClosed()).toEqual([statement.name]);
  expect(prepared.takeClosed()).toEqual([]);
  expect(prepared.use("a", "data").isNew).toBe(false);
});

test("a name is never used again, so a Close cannot hit a statement that came after", () => {
  const prepared = createPreparedStatements(1);
  const names = Array.from(
    { length: 100 },
    (_, i) => prepared.use(`s${i % 2}`, "data").statement.name,
  );
  expect(new Set(names).size).toBe(100);
});

test("what is forgotten is parsed anew, and forgetting it twice leaves its successor", () => {
  const prepared = createPreparedStatements(10);
  const { statement } = prepared.use("a", "data");
  prepared.forget(statement);
  const next = prepared.use("a", "data");
  expect(next.isNew).toBe(true);
  prepared.forget(statement);
  expect(prepared.use("a", "data")).toEqual({ statement: next.statement, isNew: false });
});

test("what a migration has outdated is parsed with another text, on every connection", () => {
  const [one, other] = [createPreparedStatements(10), createPreparedStatements(10)];
  const first = one.use("a", "data").statement;
  const second = other.use("a", "data").statement;
  expect(second.sql).toBe(first.sql);
  one.outdate(first);
  const next = one.use("a", "data");
  expect(next.isNew).toBe(true);
  expect(next.statement.sql).not.toBe(first.sql);
  // Outdated by the same migration: the text that is new already will do.
  other.outdate(second);
  expect(other.use("a", "data").statement.sql).toBe(next.statement.sql);
  other.outdate(other.use("a", "data").statement);
  const last = other.use("a", "data").statement.sql;
  expect([first.sql, next.statement.sql]).not.toContain(last);
});
