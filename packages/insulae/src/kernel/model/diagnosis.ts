/** The result of one check of `insulae doctor`. */
export interface Check {
  readonly name: string;
  readonly state: "ok" | "warning" | "failure";
  readonly message: string;
  /** How to fix it. */
  readonly remedy?: string;
}

/** What the last run of all checks found. */
export interface Diagnosis {
  readonly checks: readonly Check[];
  readonly startedAt: Date;
  readonly tookMs: number;
}
