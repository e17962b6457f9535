/** The names of an object's properties: of a list's items and a page's `items`, too. */
export type NamesIn<T> = unknown extends T
  ? unknown
  : T extends readonly (infer Item)[]
    ? keyof Item
    : T extends { readonly items: readonly (infer Item)[] }
      ? keyof T | keyof Item
      : keyof T;

/**
 * JSON text that PostgreSQL has built, on its way to the client untouched: it is neither parsed nor
 * serialised again. The HTTP layer sends `text` as the body.
 *
 * @typeParam T what the text describes; only the types know it. The names that are in the text have to be
 *   names of what the route declares, since nothing takes a column too many out of it.
 * @example
 * return new Json<{ id: number }>('{"id":1}');
 */
export class Json<out T = unknown, out Names = NamesIn<T>> {
  readonly text: string;
  /** Types only: these are never set. */
  declare readonly "the text describes"?: T;
  declare readonly "and has the names"?: Names;

  constructor(text: string) {
    this.text = text;
  }

  /** What the text describes; its times are text. */
  value(): T {
    return JSON.parse(this.text);
  }

  /** So that `JSON.stringify` of something that holds one gives its value, not its text. */
  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}
