/**
 * E-mail templates. Texts refer to values and links, which are computed when the e-mail is sent,
 * not when it is requested: a link's token is created at the last moment and never stored in the
 * queue, and a request that triggers an e-mail can't find out or reveal whether the address belongs
 * to anybody.
 *
 * A tenant may override the texts. A text contains only the place of a link, which is inserted
 * afterwards (`layout.ts`), so no text can leak a link's token elsewhere.
 */

import type { Values } from "./renderer.ts";

/** A subject and paragraphs in Liquid. An empty line ends a paragraph; single line breaks stay. */
export interface MailTexts {
  readonly subject: string;
  readonly body: string;
}

export interface MailDescription {
  /** Lower case, with underscores. A tenant overrides the template by this name. */
  readonly name: string;
  /** When it is sent, in a few words. */
  readonly about: string;
  readonly subject: string;
  /** Paragraphs. A link must be alone in one. */
  readonly body: readonly string[];
  /**
   * The values that the texts may use besides `tenant` and `support_email`, each with an example.
   */
  readonly values?: Values;
  /** The links that the texts may use, and their labels. */
  readonly links?: Readonly<Record<string, string>>;
}

/** The values and the links' URLs of an e-mail. Links may be left out. */
export type Composed = Readonly<Record<string, Values[string] | undefined>>;

export interface MailTemplate<Variables> extends Required<Omit<MailDescription, "body">> {
  readonly body: string;
  /** Returns undefined if there is nothing to send. If it throws, sending is retried later. */
  readonly compose: (
    variables: Variables,
    // `mailTemplate` has checked its type.
    setting: never,
  ) => Composed | undefined | Promise<Composed | undefined>;
}

/** A template whose variables only its sender knows. */
export type AnyMailTemplate = MailTemplate<never>;
