import type { ComponentType } from "react";
import type { Language } from "./i18n.ts";
import type { IconName } from "./icons.ts";

/** One screen of the console. Its folder exports it, and a list names it: nothing else knows it. */
export interface Screen {
  /** Below `/p` or `/t/<key>`: `users`. `""` is the first one. */
  readonly path: string;
  /** Further paths that the same component answers: `users/$id`. */
  readonly further?: readonly string[];
  readonly title: Readonly<Record<Language, string>>;
  readonly group: Group;
  readonly icon: IconName;
  /** What it takes to see it; none: everybody who is signed in. */
  readonly permission?: string;
  /** It is reached from elsewhere, and not in the menu. */
  readonly hidden?: boolean;
  /** What the palette offers beside the screen: it opens the address. */
  readonly actions?: readonly Action[];
  readonly load: () => Promise<{ default: ComponentType }>;
}

export interface Action {
  readonly title: Readonly<Record<Language, string>>;
  /** Below `/p` or `/t/<key>`: `users?new=yes`. */
  readonly path: string;
  readonly permission?: string;
}

export type Group = "main" | "people" | "operations" | "settings";
