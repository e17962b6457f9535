/**
 * An application: what is built on Insulae, as one value. The server, the CLI and tests are given the same,
 * so that what one of them migrates is what another serves.
 */

import { dialects } from "../dialects/index.ts";
import { standardFeatures } from "../features/index.ts";
import type { Feature } from "../kernel/feature/feature.ts";
import type { TenantSettings } from "../kernel/tenancy/tenant-settings.ts";
import { checkApplication } from "./check-application.ts";

export interface Application {
  /** Shown in the API reference and when the server starts. Default: Insulae. */
  readonly name?: string;
  /** What it offers besides accounts, tenants and users. */
  readonly features: readonly Feature[];
  /** The shape of what is set for each tenant, by `tenantSettings()`. */
  readonly settings?: Pick<TenantSettings<unknown>, "check">;
  /**
   * Names of features that it no longer has. Their tables stay, isolated and erased with their tenant. Without
   * this, the CLI refuses to change databases that have them: another application may own them.
   */
  readonly retired?: readonly string[];
}

/**
 * Defines an application. Export it as the default of `insulae.config.ts` in the project's root, where the CLI
 * finds it, and pass it to `createApp()` and `createTestApp()`.
 *
 * @throws DeclarationError if an option is not known, or a feature is none
 * @example
 * export default defineApp({ name: "Shop", features: [...standardFeatures, shop] });
 */
export function defineApp(application: Application): Application {
  checkApplication(application);
  return application;
}

/** What `insulae start` serves where there is no application of one's own. */
export const stockApplication = defineApp({ features: [...standardFeatures, ...dialects] });
