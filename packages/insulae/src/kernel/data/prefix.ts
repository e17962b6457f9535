/**
 * Search by prefix with an index in the order of bytes (`collate "C"`). A range, since PostgreSQL turns `like $1` into
 * one only while it plans each execution anew.
 */
import { type RawBuilder, sql } from "kysely";

/** The last character there is. */
const last = "\u{10FFFF}";

/**
 * The expression begins with the text.
 *
 * @param column an expression that an index has `collate "C"`, in lower case
 * @example
 * accounts.where(beginsWith(sql`email`, "ada@"))
 */
export const beginsWith = (column: RawBuilder<unknown>, text: string): RawBuilder<boolean> => {
  const prefix = text.trim().toLowerCase();
  return sql<boolean>`(${column} collate "C" >= ${prefix} and ${column} collate "C" < ${prefix + last})`;
};
