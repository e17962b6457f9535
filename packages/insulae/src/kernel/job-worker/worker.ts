/**
 * Works on the queues, several jobs in parallel, in turns between the tenants:
 *
 *   round: [acme, beta, …]  the queues that have work; one job of each, then a new round
 *      │ take (a lease of 30 s, renewed every 10 s)
 *      ▼
 *   run in the tenant's scope ──► completed
 *      ├── failed ──► retried with exponential backoff; finally parked (`failed`)
 *      └── the process stops ──► returned, without counting an attempt
 *
 * However many jobs one tenant has queued, another's job waits at most for one job of each tenant
 * in the round. A tenant uses at most half of the places, and so do background jobs (`turns.ts`). A
 * job that waits for an outside service uses none, and part of the jobs under way is reserved for
 * tenants without any (`waiting.ts`). Tenants on unreachable servers get no turn. The worker looks
 * for work when jobs are announced, when one ends or begins to wait, when the next one is due, and
 * every half minute.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Value } from "typebox/value";
import type { Platform } from "../feature/platform.ts";
import type { JobDefinition, JobRun } from "../jobs/definition.ts";
import type { JobKind, JobQueue, TakenJob } from "../jobs/queue.ts";
import { platformQueue } from "../jobs/queue-names.ts";
import { AppError } from "../lib/errors.ts";
import { keepTrying } from "../lib/keep-trying.ts";
import type { Logger } from "../telemetry/log.ts";
import { keptText } from "../telemetry/redact.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { watchJobs } from "./job-metrics.ts";
import { createTurns, type Turn } from "./turns.ts";
import {
  isRoom,
  mayBegin,
  mayBeginInBackground,
  mostUnderWay,
  outsideOf,
  type Waiting,
} from "./waiting.ts";

/** Thrown by a job if retrying makes no sense: it is parked at once. */
export class PermanentFailure extends Error {
  override readonly name = "PermanentFailure";
}

export interface JobWorker {
  start(): void;
  /** Call this when there may be work. */
  wake(): void;
  /** Lets running jobs finish for a moment and returns the rest to the queue. */
  close(): Promise<void>;
}

export interface JobWorkerOptions {
  readonly queue: JobQueue;
  readonly declared: ReadonlyMap<string, JobDefinition>;
  readonly platform: Platform;
  /** The number of jobs that this process runs in parallel. */
  readonly concurrency: number;
  readonly tracing?: Tracing | undefined;
  readonly log: Logger;
  /** How long closing waits for running jobs. */
  readonly graceMs?: number;
}

interface Running extends Waiting {
  readonly taken: TakenJob;
  readonly kind: JobKind;
  readonly stop: AbortController;
  /** Another worker has taken over the job; discard whatever it still does. */
  lost: boolean;
  progress: number | undefined;
  written: number | undefined;
}

const lookEveryMs = 30_000;
const prolongEveryMs = 10_000;
const progressEveryMs = 1_000;

export function createJobWorker(options: JobWorkerOptions): JobWorker {
  const { queue, declared, platform, concurrency, log, graceMs = 1_000 } = options;
  const watch = watchJobs(platform.metrics, options.tracing, declared.keys());
  // Longer than the number of tenants that can have jobs under way, so that every round has one
  // that may start.
  const roundLength = mostUnderWay(concurrency);
  const running = new Map<Running, Promise<void>>();
  const turns = createTurns({ queue, length: roundLength, down: platform.servers.down });
  let open = false;
  let looking: Promise<void> | undefined;
  let again = false;
  let timer: NodeJS.Timeout | undefined;
  let beat: NodeJS.Timeout | undefined;

  const wake = (): void => {
    if (!open) return;
    again = true;
    looking ??= look().finally(() => {
      looking = undefined;
      if (again) wake();
    });
  };

  /** Starts jobs while there are free places. */
  const look = async (): Promise<void> => {
    let dueAt = inMs(lookEveryMs);
    try {
      while (again && open) {
        again = false;
        // Before taking: a job that becomes due in between is then found by one of the two.
        if (hasRoom()) dueAt = inMs((await queue.release()) ?? lookEveryMs);
        while (open && hasRoom()) {
          const turn = await turns.next(isFree);
          if (turn === undefined) break;
          const taken = await queue.take(turn.queue, turn.kind);
          if (taken) begin(taken, turn.kind);
        }
      }
    } catch (error) {
      again = false;
      dueAt = inMs(5_000 * (0.5 + Math.random()));
      log.warn({ err: error }, "Could not read the job queue; will retry");
    }
    clearTimeout(timer);
    if (!open) return;
    timer = setTimeout(wake, Math.min(Math.max(dueAt - inMs(0), 10), lookEveryMs)).unref();
  };

  const hasRoom = (): boolean => isRoom([...running.keys()], concurrency);

  const isFree = (turn: Turn): boolean => {
    const all = [...running.keys()];
    const own = all.filter(({ taken }) => taken.queue === turn.queue);
    if (!mayBegin(own, all, concurrency)) return false;
    if (turn.kind === "ordinary") return true;
    const background = all.filter(({ kind }) => kind === "background");
    return mayBeginInBackground(background, concurrency);
  };

  const begin = (taken: TakenJob, kind: JobKind): void => {
    const run: Running = {
      taken,
      kind,
      stop: new AbortController(),
      lost: false,
      waiting: 0,
      progress: undefined,
      written: undefined,
    };
    const ended = work(run)
      .catch((error: unknown) => {
        // Its lease will expire and another worker take it over.
        log.warn({ err: error, job_id: taken.id }, "Could not record the outcome of a job");
      })
      .finally(() => {
        running.delete(run);
        wake();
      });
    running.set(run, ended);
  };

  const work = async (run: Running): Promise<void> => {
    const { taken } = run;
    const { id, queue: name, job, attempt } = taken;
    const about = { job_id: id, job, attempt };
    const tenant = name === platformQueue ? undefined : await platform.tenants.find(name);
    const isAway = () => tenant && platform.servers.down().includes(tenant.placement.serverId);
    if (name !== platformQueue && (tenant?.status !== "active" || isAway())) {
      // It gets no turn until its tenant is active or its server responds.
      await queue.handBack(taken);
      return;
    }
    const jobLog = log.child({ ...about, ...(tenant && { tenant_id: tenant.id }) });
    try {
      const result = await watch(
        declared.has(job) ? job : "unknown",
        {
          "insulae.job.id": id,
          "insulae.job.attempt": attempt,
          "insulae.tenant.id": tenant?.id,
        },
        () => runOnce(run, tenant),
      );
      if (run.lost) return;
      await persist(() => queue.complete(taken, result));
    } catch (error) {
      if (run.lost) return;
      if (isAway()) {
        // Not an attempt: the job waits until the server responds.
        await persist(() => queue.handBack(taken));
        return;
      }
      const forGood = error instanceof PermanentFailure;
      const reason = reasonOf(error);
      await persist(() => queue.fail(taken, reason, forGood));
      jobLog.warn({ err: error }, "A job failed");
    }
  };

  const runOnce = async (
    run: Running,
    tenant: Parameters<Platform["withTenant"]>[0] | undefined,
  ) => {
    const { id, job: name, data, attempt } = run.taken;
    const definition = declared.get(name);
    // A node of a newer version may know it.
    if (!definition) throw new Error(`there is no job ${name}`);
    if (!Value.Check(definition.data, data)) {
      throw new PermanentFailure(`the data does not match the schema of ${name}`);
    }
    const { timeoutSeconds } = definition;
    const timer = setTimeout(
      () => run.stop.abort(new Error(`it took longer than ${timeoutSeconds} s`)),
      timeoutSeconds * 1000,
    ).unref();
    const { signal } = run.stop;
    const own: JobRun = {
      job: { id, name, attempt },
      signal,
      progress(done) {
        run.progress = Math.min(Math.max(done, 0), 1);
      },
    };
    const fields = { job_id: id, job: name };
    // `job` and `platformJob` have checked the types of data and scope.
    const call = (scope: object) => definition.run(data as never, scope as never);
    const working =
      tenant === undefined
        ? call({ ...own, platform, log: log.child(fields) })
        : platform.withTenant(tenant, (scope) =>
            call({
              ...scope,
              ...outsideOf(run, scope, wake),
              ...own,
              log: scope.log.child(fields),
            }),
          );
    return Promise.race([working, aborted(signal)]).finally(() => clearTimeout(timer));
  };

  /** Retries until it closes. After that, whoever takes over the job runs it again. */
  const persist = (note: () => Promise<boolean>) => keepTrying(note, () => open);

  const prolongAll = async (all: boolean): Promise<void> => {
    for (const run of running.keys()) {
      const { progress } = run;
      if (!all && progress === run.written) continue;
      const kept = await queue.prolong(run.taken, progress);
      run.written = progress;
      if (!kept && running.has(run)) {
        run.lost = true;
        run.stop.abort(new Error("the job has been taken over"));
      }
    }
  };

  const startBeat = (): void => {
    let last = performance.now();
    let busy = false;
    beat = setInterval(async () => {
      if (busy) return;
      busy = true;
      try {
        const all = performance.now() - last >= prolongEveryMs;
        if (all) last = performance.now();
        await prolongAll(all);
        if (all && (await queue.takeOver()) > 0) wake();
      } catch (error) {
        log.warn({ err: error }, "Could not renew the leases of jobs");
      } finally {
        busy = false;
      }
    }, progressEveryMs).unref();
  };

  return {
    start() {
      open = true;
      startBeat();
      wake();
    },
    wake,
    async close() {
      open = false;
      clearTimeout(timer);
      clearInterval(beat);
      await looking;
      await Promise.race([
        Promise.all(running.values()),
        sleep(graceMs, undefined, { ref: false }),
      ]);
      for (const run of running.keys()) {
        run.lost = true;
        run.stop.abort(new Error("the server is stopping"));
        await queue.handBack(run.taken).catch((error: unknown) => {
          log.warn({ err: error, job_id: run.taken.id }, "Could not return a job to the queue");
        });
      }
    },
  };
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });

/** By this process's monotonic clock. */
const inMs = (ms: number): number => performance.now() + ms;

/** The error as the tenant's administrators may read it. */
const reasonOf = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error);
  return keptText(error instanceof AppError ? `${error.code}: ${text}` : text, 500);
};
