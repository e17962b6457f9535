/**
 * Scheduled jobs. Every node computes the next time and adds the job then. It is added only once,
 * because its id derives from its name and time. For a tenant's scheduled job, a platform job adds
 * it for each active tenant, a thousand at a time.
 *
 * Runs that were due while no node was up are not made up for.
 */
import { sql } from "kysely";
import { type Static, Type } from "typebox";
import { platformJob } from "../feature/job.ts";
import type { Platform } from "../feature/platform.ts";
import type { JobDefinition, PlatformJob } from "../jobs/definition.ts";
import { withRules } from "../jobs/jobs.ts";
import type { JobQueue } from "../jobs/queue.ts";
import { platformQueue } from "../jobs/queue-names.ts";
import { nextTime } from "../lib/cron.ts";
import type { TenantId } from "../lib/ids.ts";
import { uuidV7 } from "../lib/uuid.ts";
import type { Logger } from "../telemetry/log.ts";

export interface Schedules {
  start(): Promise<void>;
  close(): void;
}

export interface SchedulesOptions {
  readonly declared: ReadonlyMap<string, JobDefinition>;
  readonly queue: JobQueue;
  readonly log: Logger;
}

interface Due {
  readonly definition: JobDefinition;
  readonly cron: string;
  at: Date;
}

const longestTimerMs = 3_600_000;
const retryMs = 5_000;
const perPage = 1_000;

const Occurrence = Type.Object({ job: Type.String(), at: Type.String() });

/** The same on every node, and different for every occurrence. */
const occurrence = (definition: JobDefinition, at: Date, whose: string) =>
  withRules(
    {
      id: uuidV7(at.getTime(), `${definition.name} ${whose}`),
      job: definition.name,
      data: {},
      // One waiting job is enough, for example until its tenant is active again.
      key: "schedule",
      startAfter: at,
    },
    definition,
  );

/** Adds a tenants' scheduled job for every tenant. */
export const scheduleForTenants = (
  queue: JobQueue,
  find: (name: string) => JobDefinition | undefined,
): PlatformJob<typeof Occurrence> =>
  platformJob("jobs.schedule-for-tenants", {
    data: Occurrence,
    priority: -1,
    async run({ job, at }: Static<typeof Occurrence>, { platform, signal }) {
      const definition = find(job);
      if (!definition) throw new Error(`there is no job ${job}`);
      for await (const ids of activeTenants(platform)) {
        signal.throwIfAborted();
        await queue.addEach(
          ids.map((id) => ({ queue: id, ...occurrence(definition, new Date(at), id) })),
        );
      }
    },
  });

async function* activeTenants({ control }: Pick<Platform, "control">) {
  for (let after: TenantId | undefined; ; ) {
    const page = await control
      .selectFrom("control.tenants")
      .select("id")
      .where("status", "=", "active")
      .$if(after !== undefined, (query) => query.where(sql`id`, ">", after))
      .orderBy("id")
      .limit(perPage)
      .execute();
    if (page.length > 0) yield page.map(({ id }) => id);
    after = page.at(-1)?.id;
    if (after === undefined) return;
  }
}

export function createSchedules({ declared, queue, log }: SchedulesOptions): Schedules {
  const scheduled = [...declared.values()].filter(({ schedule }) => schedule !== undefined);
  let schedules: Due[] = [];
  let timer: NodeJS.Timeout | undefined;
  let open = false;

  const next = (cron: string): Date => {
    const at = nextTime(cron, new Date());
    if (!at) throw new Error(`the schedule ${cron} has no next time`);
    return at;
  };

  const add = (definition: JobDefinition, at: Date): Promise<void> => {
    if (definition.of === "platform") {
      return queue.add(platformQueue, [occurrence(definition, at, platformQueue)]);
    }
    const { name } = definition;
    const data: Static<typeof Occurrence> = { job: name, at: at.toISOString() };
    const id = uuidV7(at.getTime(), `${name} tenants`);
    return queue.add(platformQueue, [
      withRules(
        { id, job: "jobs.schedule-for-tenants", data, key: undefined, startAfter: at },
        { priority: -1 },
      ),
    ]);
  };

  const tick = async (): Promise<void> => {
    let waitMs = longestTimerMs;
    try {
      for (const due of schedules) {
        if (due.at.getTime() > Date.now()) continue;
        await add(due.definition, due.at);
        due.at = next(due.cron);
      }
      for (const { at } of schedules) waitMs = Math.min(waitMs, at.getTime() - Date.now());
    } catch (error) {
      waitMs = retryMs;
      log.warn({ err: error }, "Could not add a scheduled job; will retry");
    }
    if (open) timer = setTimeout(tick, Math.max(waitMs, 1)).unref();
  };

  return {
    async start() {
      open = true;
      if (scheduled.length === 0) return;
      schedules = scheduled.map((definition) => {
        const cron = definition.schedule ?? "";
        return { definition, cron, at: next(cron) };
      });
      if (open) await tick();
    },
    close() {
      open = false;
      clearTimeout(timer);
    },
  };
}
