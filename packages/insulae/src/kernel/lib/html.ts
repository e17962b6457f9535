/** HTML that is put together here: what is put into it is escaped. */

/** What stands for itself in HTML; everything else that `html` is given is escaped. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/**
 * HTML, with what is put into it escaped.
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

/** Also good within an attribute in quotes. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => entities[character] ?? "");
