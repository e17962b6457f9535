import { DatabaseError } from "pg";
import { expect, test } from "vitest";
import { ConnectionLost } from "./errors.ts";
import { judge } from "./retry.ts";

const lost = (sent: boolean) => new ConnectionLost(sent, new Error("gone"));
const serverError = (code: string, routine = "") =>
  Object.assign(new DatabaseError("no", 1, "error"), { code, routine, severity: "ERROR" });

test("what was never sent is sent elsewhere, up to three times", () => {
  expect(judge("write", 1, lost(false))).toEqual({ again: "write" });
  expect(judge("write", 3, lost(false))).toMatchObject({ error: { code: "database_unavailable" } });
});

test("a read that was under way is tried once more, a write never", () => {
  expect(judge("read", 1, lost(true))).toEqual({ again: "read" });
  expect(judge("read", 2, lost(true))).toMatchObject({ error: { code: "database_unavailable" } });
  expect(judge("write", 1, lost(true))).toMatchObject({ error: { code: "write_outcome_unknown" } });
});

test("a statement that has to be prepared anew is", () => {
  expect(judge("write", 1, serverError("26000"))).toEqual({ again: "write" });
  expect(judge("read", 2, serverError("0A000", "RevalidateCachedQuery"))).toEqual({
    again: "read",
  });
  expect(judge("read", 3, serverError("26000"))).toMatchObject({ error: { code: "26000" } });
  expect(judge("read", 1, serverError("0A000"))).toMatchObject({ error: { code: "0A000" } });
});

test("a read that writes is a write", () => {
  expect(judge("read", 1, serverError("25006"))).toEqual({ again: "write" });
  expect(judge("write", 1, serverError("25006"))).toMatchObject({
    error: { code: "database_unavailable" },
  });
});

test("any other error is the caller's", () => {
  expect(judge("write", 1, serverError("23505"))).toMatchObject({ error: { code: "23505" } });
  expect(judge("read", 1, serverError("57014"))).toMatchObject({
    error: { code: "statement_timeout" },
  });
});
