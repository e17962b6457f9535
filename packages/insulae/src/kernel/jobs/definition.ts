import type { TSchema } from "typebox";

/** A declared job. */
export interface JobDefinition {
  readonly name: string;
  readonly data: TSchema;
  readonly of: "tenant" | "platform";
  readonly retries: number;
  readonly backoffSeconds: number;
  readonly priority: number;
  readonly timeoutSeconds: number;
  readonly schedule: string | undefined;
  readonly uncounted: boolean;
  // `job` and `platformJob` have checked the types of data and scope.
  readonly run: (data: never, scope: never) => Promise<unknown>;
}

export interface Job<Data extends TSchema> extends JobDefinition {
  readonly data: Data;
  readonly of: "tenant";
}

export interface PlatformJob<Data extends TSchema> extends JobDefinition {
  readonly data: Data;
  readonly of: "platform";
}

/** What every attempt gets. */
export interface JobRun {
  readonly job: {
    readonly id: string;
    readonly name: string;
    /** 1 for the first. */
    readonly attempt: number;
  };
  /** Aborts at the timeout, when another worker has taken over the job, and at shutdown. */
  readonly signal: AbortSignal;
  /** Reports progress from 0 to 1. `GET /jobs/:id` shows it at most a second late. */
  readonly progress: (done: number) => void;
}
