/**
 * Maps PostgreSQL's errors to errors that reveal nothing of the database: no value, table or
 * constraint. A feature maps its own constraints with `constraints`; the rest is mapped by SQLSTATE
 * (PostgreSQL manual, appendix A).
 */
import {
  databaseUnavailable,
  isByDeletion,
  retryLater,
  statementTimeout,
  takesNoWrites,
} from "../../engine/errors.ts";
import { type AppError, defineError, type ErrorFactory } from "../../lib/errors.ts";
import { quotaError, quotaUsedUp } from "../../tenancy/plans.ts";

export const conflict = defineError(
  "conflict",
  409,
  "This already exists. Change the value that must be unique.",
);
export const referenceNotFound = defineError(
  "reference_not_found",
  422,
  "The request refers to something that does not exist. Check its ids.",
);
export const stillReferenced = defineError(
  "still_referenced",
  409,
  "Other data still refers to this. Delete or change that first.",
);
export const valueRefused = defineError(
  "value_refused",
  422,
  "A required value is missing, or a value is not allowed here",
);
export const invalidValue = defineError(
  "invalid_value",
  400,
  "A value is invalid, out of range or too long",
);
export const concurrentChange = defineError(
  "concurrent_change",
  409,
  "Another request changed this at the same time. Retry.",
);
/** All features' errors for violated constraints, by the constraint's name. */
export type ConstraintErrors = ReadonlyMap<string, ErrorFactory>;

const valueTooLarge = defineError(
  "value_too_large",
  400,
  "A value is too large to store. Shorten it.",
);

/** @returns undefined if the error is not PostgreSQL's, or is the server's own fault */
export function databaseError(error: unknown, constraints: ConstraintErrors): AppError | undefined {
  const state = sqlState(error);
  if (state === undefined) return undefined;
  // Other classes name a constraint too, such as the index of a key that is too large for it.
  const known = state.startsWith("23") && constraints.get(textProperty(error, "constraint"));
  if (known) return known({ cause: error });
  switch (state) {
    case quotaUsedUp:
      return quotaError(error);
    case "23505":
    case "23P01":
      return conflict({ cause: error });
    case "23001":
      return stillReferenced({ cause: error });
    case "23503":
      return isByDeletion(error)
        ? stillReferenced({ cause: error })
        : referenceNotFound({ cause: error });
    case "23502":
    case "23514":
      return valueRefused({ cause: error });
    case "40001":
    case "40P01":
      return concurrentChange({ cause: error });
    case "55P03":
    case "57014":
      return statementTimeout(retryLater(error));
  }
  // Text too long, number out of range, invalid date, pattern or query, unstorable characters.
  if (state.startsWith("22") && !isOurs(state, error)) return invalidValue({ cause: error });
  // An index row that is too large; JSON or a query that is too complex.
  if (state === "54000" || state === "54001") return valueTooLarge({ cause: error });
  // Connection trouble, out of resources, shutting down or starting up.
  if (/^(08|53|57P)/.test(state) || takesNoWrites(state))
    return databaseUnavailable(retryLater(error));
  return undefined;
}

/**
 * Division by zero, or an invalid setting (a role that does not exist): both are the server's
 * choice.
 */
const isOurs = (state: string, error: unknown): boolean =>
  state === "22012" || textProperty(error, "file") === "guc.c";

/** Whether the error came from PostgreSQL itself. */
export const isDatabaseError = (error: unknown): boolean => sqlState(error) !== undefined;

/**
 * Whether PostgreSQL refused a value that passed the route's validation, or one that the server
 * made. The client learns that a value is invalid, the log which.
 */
export const isRefusedValue = (error: unknown): boolean => /^(22|54)/.test(sqlState(error) ?? "");

/** What PostgreSQL names in the error, without values. */
export function databaseErrorFields(error: unknown) {
  const sqlstate = sqlState(error);
  if (sqlstate === undefined) return undefined;
  const named = (name: string) => textProperty(error, name) || undefined;
  return {
    sqlstate,
    table: named("table"),
    column: named("column"),
    constraint: named("constraint"),
    hint: named("hint"),
  };
}

function sqlState(error: unknown): string | undefined {
  // A `DatabaseError` of `pg` also has a severity; codes of system errors (EPIPE) can have five
  // letters too.
  if (!(error instanceof Error) || !("severity" in error)) return undefined;
  const code = textProperty(error, "code");
  return /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

function textProperty(error: unknown, name: string): string {
  if (typeof error !== "object" || error === null) return "";
  const value: unknown = Reflect.get(error, name);
  return typeof value === "string" ? value : "";
}
