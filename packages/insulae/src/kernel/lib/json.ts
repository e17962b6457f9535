/** The property names of an object, of a list's items, or of a page's `items`. */
export type NamesIn<T> = unknown extends T
  ? unknown
  : T extends readonly (infer Item)[]
    ? keyof Item
    : T extends { readonly items: readonly (infer Item)[] }
      ? keyof T | keyof Item
      : keyof T;

/**
 * JSON text built by PostgreSQL that is sent to the client without being parsed and serialised
 * again. The HTTP layer sends `text` as the body.
 *
 * @typeParam T the type that the text represents; it exists at compile time only. The names in the
 * text must be
 *   names that the route declares, because nothing removes a column too many at run time.
 * @example
 * return new Json<{ id: number }>('{"id":1}');
 */
export class Json<out T = unknown, out Names = NamesIn<T>> {
  readonly text: string;
  /** Only types; never set. */
  declare readonly "the text describes"?: T;
  declare readonly "and has the names"?: Names;

  constructor(text: string) {
    this.text = text;
  }

  /** The parsed value. Timestamps are strings. */
  value(): T {
    return JSON.parse(this.text);
  }

  /** Makes `JSON.stringify` of an enclosing object include the value, not the text. */
  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}
