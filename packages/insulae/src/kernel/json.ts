/**
 * JSON text that PostgreSQL has built, on its way to the client untouched: it is neither parsed nor
 * serialised again. The HTTP layer sends `text` as the body.
 *
 * @example
 * return new Json('{"id":1}');
 */
export class Json {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** So that `JSON.stringify` of something that holds one gives its value, not its text. */
  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}
