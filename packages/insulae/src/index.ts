/** The public API of Insulae. */
export { Type } from "typebox";
export { type App, type AppOptions, createApp } from "./app.ts";
export { type Config, ConfigError } from "./config.ts";
export { standardFeatures } from "./features/index.ts";
export type { Principal } from "./kernel/auth/principal.ts";
export { type Params, statement } from "./kernel/database/statement.ts";
export type { TenantDatabase } from "./kernel/database/tenant-database.ts";
export { AppError, defineError } from "./kernel/errors.ts";
export { type Feature, type FeatureOptions, feature, type RouteBuilder } from "./kernel/feature.ts";
export { pageOf, pageQuery, searchText, totalWanted } from "./kernel/http/page.ts";
export { Json } from "./kernel/json.ts";
export type { PlatformScope, TenantScope } from "./kernel/platform.ts";
export type { Tenant, TenantId, UserId } from "./kernel/tenancy/tenant.ts";
export type { NewTenant } from "./kernel/tenancy/tenants.ts";
