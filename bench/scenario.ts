import type { Database } from "./database.ts";
import type { Insulae } from "./insulae.ts";
import type { Options } from "./options.ts";

/** What every scenario works with. */
export interface Bench {
  readonly options: Options;
  readonly database: Database;
  /** Installed, with its tenants, on first use. */
  readonly insulae: () => Promise<Insulae>;
  /** Reports progress on stderr. */
  readonly progress: (text: string) => void;
}

/** A section of the report. */
export interface Section {
  readonly title: string;
  /** The meaning and conditions of the figures. */
  readonly text?: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly verdicts: readonly Verdict[];
  /** The same figures, for `--json`. */
  readonly data: unknown;
}

/** A promise of the README, and whether this run met it. */
export interface Verdict {
  readonly promise: string;
  readonly target: string;
  readonly found: string;
  readonly met: boolean;
}
