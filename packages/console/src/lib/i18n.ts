/**
 * Texts in English and German. Each folder has its own, and a text that is missing in one language
 * doesn't compile:
 *
 *     const texts = defineTexts({ en: { title: "Users" }, de: { title: "Benutzer" } });
 *     const t = useText(texts);
 *     <h1>{t.title}</h1>
 */
import { useSyncExternalStore } from "react";
import { readStored, store } from "./storage.ts";

export const languages = ["en", "de"] as const;
export type Language = (typeof languages)[number];

type Text = string | ((...given: never[]) => string);
type Translated<Texts> = {
  readonly [Name in keyof Texts]: Texts[Name] extends string ? string : Texts[Name];
};

export const defineTexts = <Texts extends Readonly<Record<string, Text>>>(texts: {
  readonly en: Texts;
  readonly de: Translated<Texts>;
}): Readonly<Record<Language, Translated<Texts>>> => texts as never; // `en` is one of them

const isLanguage = (text: string): text is Language => languages.includes(text as Language);

const preferred = (): Language => {
  const stored = readStored("language");
  if (stored && isLanguage(stored)) return stored;
  return navigator.languages.map((each) => each.slice(0, 2)).find(isLanguage) ?? "en";
};

let language = preferred();
document.documentElement.lang = language;
const listeners = new Set<() => void>();

export function setLanguage(chosen: Language): void {
  language = chosen;
  store("language", chosen);
  document.documentElement.lang = chosen;
  for (const listener of listeners) listener();
}

export const useLanguage = (): Language =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    () => language,
  );

export const useText = <Texts>(texts: Readonly<Record<Language, Texts>>): Texts =>
  texts[useLanguage()];

/** A count with its noun: `plural(language, 3, { one: "# row", other: "# rows" })`. @public */
export function plural(
  of: Language,
  count: number,
  forms: { readonly one: string; readonly other: string },
): string {
  const form = new Intl.PluralRules(of).select(count) === "one" ? forms.one : forms.other;
  return form.replace("#", new Intl.NumberFormat(of).format(count));
}
