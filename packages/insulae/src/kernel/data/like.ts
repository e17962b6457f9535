/**
 * The LIKE pattern for texts that contain this one; `%`, `_` and `\` in it stand for themselves
 * (PostgreSQL manual, 9.7.1).
 *
 * @example
 * db.selectFrom("contacts").where("name", "ilike", containing("50%"))
 */
export const containing = (text: string): string => `%${text.replace(/[\\%_]/g, "\\$&")}%`;

/**
 * The patterns for texts that contain this one, whether their letters with marks are one character each or
 * two, as in the file names of macOS; for columns that have no form to be searched in.
 *
 * @param text at most a few hundred characters, as a query has.
 * @example
 * files.where(sql<boolean>`file_name ilike any(${containingAny("Résumé")})`)
 */
export const containingAny = (text: string): string[] =>
  // Bounded: by the query's schema.
  [...new Set(["NFC", "NFD"].map((form) => containing(text.trim().normalize(form))))];
