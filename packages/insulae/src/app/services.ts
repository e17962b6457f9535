/**
 * The services of the control plane on an installation, wired together. The server uses them for
 * requests; CLI commands call them.
 *
 *     installation ─► announcements ─► data · recording ─► identity · tenancy · messaging ─► platform ─► mail sender, job runner
 *
 * Each is built from those before it, and every cache follows the announcements from its creation.
 */

import { settingsOf } from "../config/settings.ts";
import {
  findOwnTexts,
  type NotificationTables,
} from "../features/notifications/notifications.feature.ts";
import { forgetGoneUser, profileKey, type UserTables } from "../features/users/users.feature.ts";
import { type Announcements, createAnnouncements } from "../kernel/announcements/announcements.ts";
import type { Anchors } from "../kernel/audit/anchors.ts";
import type { DataServices, IdentityServices } from "../kernel/feature/capabilities.ts";
import type { ComposeMail } from "../kernel/feature/mail-template.ts";
import { createPlatform, type Platform } from "../kernel/feature/platform.ts";
import type { Authenticate } from "../kernel/identity/authentication.ts";
import { createJobRunner, type JobRunner } from "../kernel/job-worker/runner.ts";
import type { UserId } from "../kernel/lib/ids.ts";
import { shareOf } from "../kernel/lib/worker-share.ts";
import { createMailSender, type MailSender, mailsAtATime } from "../kernel/mail/sender.ts";
import type { MoveRunner } from "../kernel/moves/move-runner.ts";
import type { Mover } from "../kernel/moves/mover.ts";
import { createDns, type Dns } from "../kernel/net/dns.ts";
import { createOutbound } from "../kernel/net/outbound.ts";
import { moduleLog } from "../kernel/telemetry/log.ts";
import { createLogHub, type LogHub } from "../kernel/telemetry/log-hub.ts";
import { type Catalogue, createCatalogue } from "../kernel/tenancy/catalogue.ts";
import { createDatabaseOf, type DatabaseOf } from "../kernel/tenancy/tenant-database-of.ts";
import { findTenant } from "../kernel/tenancy/tenant-queries.ts";
import type { TenantSettings } from "../kernel/tenancy/tenant-settings.ts";
import { composeData, composeRecording } from "./compose-data.ts";
import { composeIdentity } from "./compose-identity.ts";
import { type ComposedMessaging, composeMessaging } from "./compose-messaging.ts";
import { composeTenancy } from "./compose-tenancy.ts";
import type { Installation } from "./installation.ts";
import { version } from "./version.ts";

export interface Services {
  readonly platform: Platform;
  readonly catalogue: Catalogue;
  /** Follows tenants when they are moved. */
  readonly databaseOf: DatabaseOf;
  readonly announcements: Announcements;
  /** Not started: CLI commands enqueue mails, the server sends them. */
  readonly mailSender: MailSender;
  /** Not started either. */
  readonly jobRunner: JobRunner;
  /** For commands that move a tenant themselves. */
  readonly mover: Mover;
  /** Not started. */
  readonly moveRunner: MoveRunner;
  readonly authenticate: Authenticate;
  readonly anchors: Anchors;
  /** Does not close the installation. */
  close(): Promise<void>;
}

export interface ServicesOptions {
  /** The application's, for e-mails that no tenant sends. */
  readonly name?: string | undefined;
  readonly dns?: Dns | undefined;
  readonly logs?: LogHub;
  readonly settings?: Pick<TenantSettings<unknown>, "check"> | undefined;
}

export async function createServices(
  opened: Installation,
  { name, dns = createDns(), logs = silentLogs(), settings }: ServicesOptions = {},
): Promise<Services> {
  const { broker, config, control, log, main, redis } = opened;
  const announcements = createAnnouncements({
    broker,
    redis,
    target: { serverId: main.id, database: main.database, role: "listener" },
    control,
    log,
  });
  const catalogue = createCatalogue({
    load: (lookup) => findTenant(control, lookup),
    follow: announcements.follow,
    maxTenants: config.cachedTenants,
  });
  const databaseOf = createDatabaseOf(opened, catalogue);
  const installation = { ...opened, databaseOf };
  const outbound = createOutbound({ allowLoopback: config.env !== "production" });
  const data = composeData(installation, announcements);
  const recording = composeRecording(installation, logs);
  const { audit, usage } = recording.services;
  const identity = await composeIdentity(installation, announcements, outbound);
  const parts = { storage: data.storage, audit, dns, settings };
  const tenancy = composeTenancy(installation, announcements, { ...parts, catalogue });
  const messaging = composeMessaging(installation, announcements, { outbound, usage, name });
  const platform = createPlatform({
    config: settingsOf(config),
    version,
    ...data,
    ...recording.services,
    ...identity.services,
    ...tenancy.services,
    ...messaging.services,
    forgetUser: forgetUser(installation, announcements, identity.services.authority, data),
    databaseOf,
    log,
  });
  const { mailSender, jobRunner } = createWorkers(installation, platform, messaging.jobs);
  announcements.follow({ mail: mailSender.wake, anything: mailSender.wake });
  announcements.follow({
    // Jobs of the tenant have waited until it was active.
    tenant: jobRunner.wake,
    job: jobRunner.wake,
    anything: jobRunner.wake,
  });
  announcements.follow({ tenant: tenancy.moveRunner.wake, anything: tenancy.moveRunner.wake });
  broker.onUp(jobRunner.wake);
  return {
    platform,
    catalogue,
    databaseOf,
    announcements,
    anchors: recording.anchors,
    mailSender,
    jobRunner,
    mover: tenancy.mover,
    moveRunner: tenancy.moveRunner,
    authenticate: identity.authenticate,
    async close() {
      await tenancy.moveRunner.close();
      data.caches.close();
      tenancy.close();
      await identity.close();
      await recording.settle();
      await announcements.close();
      await mailSender.close();
      await jobRunner.close();
      await platform.mail.close();
      await usage.close();
      await platform.delivery.close();
      data.storage.close();
    },
  };
}

const silentLogs = () => createLogHub({ format: "text", bufferSize: 0 });

const forgetUser =
  (
    { control, databaseOf }: Installation,
    announcements: Announcements,
    authority: IdentityServices["authority"],
    { caches }: Pick<DataServices, "caches">,
  ): IdentityServices["forgetUser"] =>
  async (tenant, userId) => {
    const id = userId as UserId | undefined; // callers pass a user's id
    authority.forgetUser(tenant.id, id);
    await announcements.announceUser(tenant.id, userId);
    if (!id) return;
    // Not by tag: that would leave the unused entry in Redis until it expires.
    await caches.of(tenant.id).delete(profileKey(id));
    await forgetGoneUser({ control, db: databaseOf<UserTables>(tenant) }, tenant.id, id);
  };

function createWorkers(
  { config, control, databaseOf, tracing, log }: Installation,
  platform: Platform,
  jobs: ComposedMessaging["jobs"],
) {
  const mailSender = createMailSender({
    control,
    templates: platform.mail.templates,
    delivery: platform.delivery,
    platform,
    // With the variables it was sent with; both were validated then.
    compose: (template, variables, setting) =>
      (template.compose as ComposeMail<unknown>)(variables, { ...setting, platform }),
    concurrency: shareOf(mailsAtATime, config.workers),
    textsOf: (tenant, name) => findOwnTexts(databaseOf<NotificationTables>(tenant), name),
    log: moduleLog(log, "mail"),
  });
  const jobRunner = createJobRunner({
    ...jobs,
    platform,
    concurrency: config.jobsConcurrency,
    tracing,
    log: moduleLog(log, "jobs"),
  });
  return { mailSender, jobRunner };
}
