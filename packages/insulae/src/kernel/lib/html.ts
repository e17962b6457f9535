/** Builds HTML with everything inserted escaped. */

/** Trusted HTML, which `html` inserts unescaped. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/**
 * An HTML template that escapes its values.
 *
 * @example html`<p>${name}</p>`
 */
export const html = (
  texts: TemplateStringsArray,
  ...values: readonly (string | Html | readonly Html[])[]
): Html =>
  new Html(
    texts.reduce((made, text, at) => {
      const value = values[at - 1] ?? "";
      return made + (typeof value === "string" ? escapeHtml(value) : joined(value)) + text;
    }),
  );

const joined = (value: Html | readonly Html[]): string =>
  [value]
    .flat()
    .map(({ text }) => text)
    .join("");

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Also safe within a quoted attribute. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => entities[character] ?? "");
