import type { Database } from "./database.ts";
import type { Insulae } from "./insulae.ts";
import type { Options } from "./options.ts";

/** What every scenario works with. */
export interface Bench {
  readonly options: Options;
  readonly database: Database;
  /** Installed, with its tenants, when the first scenario asks for it. */
  readonly insulae: () => Promise<Insulae>;
  /** Says on stderr what is going on. */
  readonly progress: (text: string) => void;
}

/** A part of the report. */
export interface Section {
  readonly title: string;
  /** What the figures mean, and what they were measured on. */
  readonly text?: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly verdicts: readonly Verdict[];
  /** The same figures, for `--json`. */
  readonly data: unknown;
}

/** A promise of the README, and what became of it in this run. */
export interface Verdict {
  readonly promise: string;
  readonly target: string;
  readonly found: string;
  readonly met: boolean;
}
