/**
 * An application: what is built on Insulae, as one value. The server, the CLI and tests are given the same,
 * so that what one of them migrates is what another serves.
 */

import { dialects } from "../dialects/index.ts";
import { standardFeatures } from "../features/index.ts";
import type { Application } from "./app-api.ts";
import { checkApplication } from "./check-application.ts";

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
