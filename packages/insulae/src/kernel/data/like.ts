/**
 * The LIKE pattern for texts that contain `text`, with `%`, `_` and `\` escaped (PostgreSQL manual,
 * section 9.7.1).
 *
 * @example
 * db.selectFrom("contacts").where("name", "ilike", containing("50%"))
 */
export const containing = (text: string): string => `%${text.replace(/[\\%_]/g, "\\$&")}%`;

/**
 * The patterns for texts that contain `text` in either Unicode form, composed (NFC) or decomposed
 * (NFD, as in macOS file names); for columns without a normalised search column.
 *
 * @param text at most a few hundred characters
 * @example
 * files.where(sql<boolean>`file_name ilike any(${containingAny("Résumé")})`)
 */
export const containingAny = (text: string): string[] =>
  // Bounded: by the query's schema.
  [...new Set(["NFC", "NFD"].map((form) => containing(text.trim().normalize(form))))];
