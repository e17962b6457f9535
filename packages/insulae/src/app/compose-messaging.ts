/** Composes messages and background work: jobs, mails, notifications, events. */
import {
  findWantedEvents,
  recordEvents,
  type WebhookTables,
} from "../features/webhooks/webhooks.feature.ts";
import type { Announcements } from "../kernel/announcements/announcements.ts";
import { createDelivery } from "../kernel/delivery/delivery.ts";
import type { MessagingServices } from "../kernel/feature/capabilities.ts";
import { createEvents } from "../kernel/feature/events.ts";
import { jobsOf } from "../kernel/feature/job.ts";
import { scheduleForTenants } from "../kernel/job-worker/schedules.ts";
import type { JobDefinition } from "../kernel/jobs/definition.ts";
import { createJobs, withRules } from "../kernel/jobs/jobs.ts";
import { createOutbox, type Outbox, type OutboxTables } from "../kernel/jobs/outbox.ts";
import { createJobQueue, type JobQueue } from "../kernel/jobs/queue.ts";
import { createMail, mailTemplates } from "../kernel/mail/mail.ts";
import type { Outbound } from "../kernel/net/outbound.ts";
import { moduleLog } from "../kernel/telemetry/log.ts";
import { findTenant } from "../kernel/tenancy/tenant-queries.ts";
import type { UsageCounts } from "../kernel/usage/counts.ts";
import type { Installation } from "./installation.ts";

export interface ComposedMessaging {
  readonly services: MessagingServices;
  /** What the job runner needs. */
  readonly jobs: {
    readonly queue: JobQueue;
    readonly outbox: Outbox;
    readonly declared: ReadonlyMap<string, JobDefinition>;
  };
}

export function composeMessaging(
  installation: Installation,
  { follow, announceEvents }: Announcements,
  {
    outbound,
    usage,
    name,
  }: {
    readonly outbound: Outbound;
    readonly usage: UsageCounts;
    readonly name: string | undefined;
  },
): ComposedMessaging {
  const { config, control, features, databaseOf, log } = installation;
  const composed = composeJobs(installation);
  const jobs = createJobs({ ...composed, count: (tenant) => usage.count(tenant, "jobs") });
  return {
    services: {
      jobs,
      mail: createMail({
        control,
        templates: mailTemplates(features),
        platformName: name,
        supportEmail: config.supportEmail,
        workers: config.workers,
      }),
      delivery: createDelivery({ config, control, log, secrets: installation.secrets }),
      events: createEvents({
        features,
        wanted: (tenant) => findWantedEvents(databaseOf<WebhookTables>(tenant)),
        record: (tenant, recorded, tx) =>
          recordEvents(
            { send: (job, data, options) => jobs.sendTo(tenant, job, data, options) },
            recorded,
            tx,
          ),
        announce: announceEvents,
        follow,
        maxTenants: config.cachedTenants,
      }),
      outbound,
    },
    jobs: composed,
  };
}

function composeJobs({
  control,
  features,
  databaseOf,
  log,
}: Installation): ComposedMessaging["jobs"] {
  const queue = createJobQueue(control);
  const ofFeatures = jobsOf(features);
  const declared = jobsOf([
    ...features,
    { jobs: [scheduleForTenants(queue, (name) => ofFeatures.get(name))] },
  ]);
  const outbox = createOutbox({
    control,
    databaseOf: (tenant) => databaseOf<OutboxTables>(tenant),
    findTenant: (id) =>
      findTenant(
        control,
        { by: "id", value: id },
        "provisioning",
        "active",
        "suspended",
        "deleted",
      ),
    pass: ({ id }, sent) =>
      queue.add(
        id,
        sent.map((job) => withRules(job, declared.get(job.job))),
      ),
    log: moduleLog(log, "jobs"),
  });
  return { queue, outbox, declared };
}
