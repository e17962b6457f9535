/**
 * What PostgreSQL refuses becomes an error that says nothing of the database: no value, no table,
 * no constraint's name. A feature says by `constraints` what a violation of its own means; the rest
 * gets a general answer by its SQLSTATE (PostgreSQL manual, appendix A).
 */
import {
  databaseUnavailable,
  isByDeletion,
  retryLater,
  statementTimeout,
} from "../database/errors.ts";
import { type AppError, defineError, type ErrorFactory } from "../errors.ts";
import { quotaError, quotaUsedUp } from "../tenancy/plans.ts";

export const conflict = defineError("conflict", 409, "This already exists");
export const referenceNotFound = defineError(
  "reference_not_found",
  422,
  "Something that the request refers to does not exist",
);
export const stillReferenced = defineError(
  "still_referenced",
  409,
  "Something else still refers to this",
);
export const valueRefused = defineError("value_refused", 422, "A value is not allowed here");
export const invalidValue = defineError("invalid_value", 400, "A value is not valid");
export const concurrentChange = defineError(
  "concurrent_change",
  409,
  "Somebody else changed this at the same time; try again",
);
/** Which error a violated constraint becomes, by the constraint's name, of all features. */
export type ConstraintErrors = ReadonlyMap<string, ErrorFactory>;

/** Text too long, number out of range, bad date, bad input syntax, characters that cannot be stored. */
const clientDataErrors = new Set(["22001", "22003", "22007", "22008", "22021", "22P02", "22P05"]);

/** @returns undefined if the error is not PostgreSQL's, or means that the server itself is wrong. */
export function databaseError(error: unknown, constraints: ConstraintErrors): AppError | undefined {
  const state = sqlState(error);
  if (state === undefined) return undefined;
  const known = constraints.get(textProperty(error, "constraint"));
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
  if (clientDataErrors.has(state)) return invalidValue({ cause: error });
  // Connection trouble, out of resources, shutting down or starting up.
  if (/^(08|53|57P)/.test(state)) return databaseUnavailable(retryLater(error));
  return undefined;
}

/** Whether PostgreSQL itself said so. */
export const isDatabaseError = (error: unknown): boolean => sqlState(error) !== undefined;

function sqlState(error: unknown): string | undefined {
  // A DatabaseError of `pg` has a severity too; system errors (EPIPE) have five letters as well.
  if (!(error instanceof Error) || !("severity" in error)) return undefined;
  const code = textProperty(error, "code");
  return /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

function textProperty(error: unknown, name: string): string {
  if (typeof error !== "object" || error === null) return "";
  const value: unknown = Reflect.get(error, name);
  return typeof value === "string" ? value : "";
}
