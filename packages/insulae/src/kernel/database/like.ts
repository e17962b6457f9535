/**
 * The LIKE pattern for texts that contain this one; `%`, `_` and `\` in it stand for themselves
 * (PostgreSQL manual, 9.7.1).
 *
 * @example
 * db.selectFrom("contacts").where("name", "ilike", containing("50%"))
 */
export const containing = (text: string): string => `%${text.replace(/[\\%_]/g, "\\$&")}%`;
