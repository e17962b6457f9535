/** What separates the rows of a page: `row_to_json` never writes a line break, so it is unambiguous. */
const separator = ",\n";

export interface CutPage {
  /** The items' JSON, without the brackets. */
  readonly items: string;
  /** The JSON of the last item, if there are more after it. */
  readonly last: string | undefined;
}

/**
 * Cuts the one row more than asked for off a page, without parsing it.
 *
 * @param text rows of JSON, separated by `,\n`.
 * @param count how many they are: at most one more than `limit`.
 */
export function cutPage(text: string, count: number, limit: number): CutPage {
  if (count <= limit) return { items: text, last: undefined };
  const items = text.slice(0, text.lastIndexOf(separator));
  const start = items.lastIndexOf(separator);
  return { items, last: start < 0 ? items : items.slice(start + separator.length) };
}
