/**
 * What a node does about jobs: it looks after outboxes, and, unless it leaves that to others, works the
 * queue off and adds what is scheduled.
 */
import type { Platform } from "../feature/platform.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { JobDefinition } from "./job.ts";
import type { Outbox } from "./outbox.ts";
import type { JobQueue } from "./queue.ts";
import { createSchedules } from "./schedules.ts";
import { createJobWorker } from "./worker.ts";

export interface JobRunner {
  /** Begins; before that, jobs are only sent. */
  start(): void;
  /** There may be something to do. */
  wake(): void;
  /** Deletes what is no longer of use. */
  sweep(): Promise<void>;
  /** Finishes what is running, or hands it back. */
  close(): Promise<void>;
}

export interface JobRunnerOptions {
  readonly queue: JobQueue;
  readonly outbox: Outbox;
  readonly declared: ReadonlyMap<string, JobDefinition>;
  readonly platform: Platform;
  /** How many jobs run at once; 0: none. */
  readonly concurrency: number;
  readonly tracing?: Tracing | undefined;
  readonly log: Logger;
}

const lookEveryMs = 30_000;

export function createJobRunner(options: JobRunnerOptions): JobRunner {
  const { queue, outbox, concurrency, log } = options;
  const worker = createJobWorker(options);
  const schedules = createSchedules(options);
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;

  const lookAfterOutboxes = (): void => {
    looking ??= outbox
      .sweep()
      .then(
        () => {},
        (error: unknown) => log.warn({ err: error }, "The marks of outboxes can't be read"),
      )
      .finally(() => {
        looking = undefined;
      });
  };

  return {
    start() {
      lookAfterOutboxes();
      timer = setInterval(lookAfterOutboxes, lookEveryMs).unref();
      if (concurrency === 0) return;
      worker.start();
      schedules.start().catch((error: unknown) => {
        log.error({ err: error }, "The schedules of jobs can't be used");
      });
    },
    wake: worker.wake,
    sweep: queue.sweep,
    async close() {
      clearInterval(timer);
      schedules.close();
      await looking;
      await worker.close();
      await outbox.close();
    },
  };
}
