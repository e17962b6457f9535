/** The public API of Insulae. */
import "./kernel/lib/supported-node.ts";

export { type ColumnType, type Generated, type Kysely, sql } from "kysely";
export { type Static, type TSchema, Type } from "typebox";
export { createApp } from "./app/app.ts";
export type { App, Application, AppOptions } from "./app/app-api.ts";
export { defineApp } from "./app/application.ts";
export { ListenError, type ListenOptions } from "./app/listen-error.ts";
export { type Config, ConfigError } from "./config/config.ts";
export type { QuotaName, Quotas } from "./config/quotas.ts";
export type { Settings } from "./config/settings.ts";
export { dialects } from "./dialects/index.ts";
export { type Credentials, logIn } from "./features/accounts/accounts.feature.ts";
export { standardFeatures } from "./features/index.ts";
export { makeTenant } from "./features/tenants/tenants.feature.ts";
export type { Cache, CacheOptions } from "./kernel/cache/cache.ts";
export { containing } from "./kernel/data/like.ts";
export { given, onlyGiven, type Params, statement } from "./kernel/data/statement.ts";
export type { TenantDatabase } from "./kernel/data/tenant-database.ts";
export type { Answer, MediaText, TimeText } from "./kernel/feature/answer-type.ts";
export type { EventName, Events } from "./kernel/feature/events.ts";
export {
  type Feature,
  type FeatureOptions,
  feature,
  type RouteBuilder,
  type RouteOptions,
} from "./kernel/feature/feature.ts";
export {
  idParams,
  mediaText,
  nullable,
  oneOf,
  onlyId,
  secretText,
  timestamp,
  uuid,
} from "./kernel/feature/fields.ts";
export {
  type AnsweredRequest,
  type AppScope,
  atHosts,
  type HookedRequest,
  type Hooks,
} from "./kernel/feature/hooks.ts";
export { type JobScope, job, type PlatformJobScope, platformJob } from "./kernel/feature/job.ts";
export { mailTemplate } from "./kernel/feature/mail-template.ts";
export {
  type Page,
  pageOf,
  pageQuery,
  searchText,
  totalWanted,
  withTotal,
} from "./kernel/feature/page.ts";
export type { PlatformScope } from "./kernel/feature/platform.ts";
export type {
  CoreContext,
  Handler,
  HandlerContext,
  TenantContext,
} from "./kernel/feature/route.ts";
export type { TenantScope } from "./kernel/feature/tenant-scope.ts";
export {
  type BodyBytes,
  bytesBody,
  type UploadForm,
  uploadForm,
} from "./kernel/http/body/stream-body.ts";
export { exported, exportList, exportQuery } from "./kernel/http/reply/export.ts";
export type { Principal } from "./kernel/identity/principal.ts";
export { PermanentFailure } from "./kernel/job-worker/worker.ts";
export type { Job, PlatformJob } from "./kernel/jobs/definition.ts";
export type { PlatformJobs, SendOptions, TenantJobs } from "./kernel/jobs/jobs.ts";
export { AppError, defineError, orThrow } from "./kernel/lib/errors.ts";
export type { TenantId, UserId } from "./kernel/lib/ids.ts";
export { Json } from "./kernel/lib/json.ts";
export { textFrame } from "./kernel/lib/text-frame.ts";
export type { MailTemplate } from "./kernel/mail/template.ts";
export type { HostSettings } from "./kernel/model/host-settings.ts";
export type { Tenant } from "./kernel/model/tenant.ts";
export type { OpenedSession, Session } from "./kernel/sessions/session.ts";
export type { TenantStorage } from "./kernel/storage/storage.ts";
export {
  type Counter,
  counter,
  type Gauge,
  gauge,
  type Histogram,
  histogram,
  type Metrics,
} from "./kernel/telemetry/metrics.ts";
export { tenantExists, tenantInactive, tenantNotFound } from "./kernel/tenancy/errors.ts";
export type { HostRegistration, RegisteredHost } from "./kernel/tenancy/hosts.ts";
export { quotaExceeded } from "./kernel/tenancy/plans.ts";
export {
  type SettingsShape,
  type TenantSettings,
  tenantSettings,
} from "./kernel/tenancy/tenant-settings.ts";
export type { NewTenant, TenantRegistration } from "./kernel/tenancy/tenants.ts";
