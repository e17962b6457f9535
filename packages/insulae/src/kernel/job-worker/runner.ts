/**
 * The jobs side of a node: sweeps outboxes and, unless left to other nodes, works on the queue and
 * adds scheduled jobs.
 */
import type { Platform } from "../feature/platform.ts";
import type { JobDefinition } from "../jobs/definition.ts";
import type { Outbox } from "../jobs/outbox.ts";
import type { JobQueue } from "../jobs/queue.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { createSchedules } from "./schedules.ts";
import { createJobWorker } from "./worker.ts";

export interface JobRunner {
  /** Starts. Before that, jobs are only sent. */
  start(): void;
  /** Call this when there may be work. */
  wake(): void;
  /** Deletes old jobs. */
  sweep(): Promise<void>;
  /** Lets running jobs finish, or returns them to the queue. */
  close(): Promise<void>;
}

export interface JobRunnerOptions {
  readonly queue: JobQueue;
  readonly outbox: Outbox;
  readonly declared: ReadonlyMap<string, JobDefinition>;
  readonly platform: Platform;
  /** The number of jobs run in parallel; 0: none. */
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
        (error: unknown) => log.warn({ err: error }, "Could not read the outbox marks"),
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
        log.error({ err: error }, "Could not start the job schedules");
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
