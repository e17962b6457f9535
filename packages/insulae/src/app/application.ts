/**
 * An application: what is built on Insulae, as one value for server, CLI and tests, so that what
 * one migrates is what another serves.
 */

import { dialects } from "../dialects/index.ts";
import { standardFeatures } from "../features/index.ts";
import type { Application } from "./app-api.ts";
import { checkApplication } from "./check-application.ts";

/**
 * Defines an application. Make it the default export of `insulae.config.ts` in the project's root,
 * where the CLI finds it, and pass it to `createApp()` and `createTestApp()`.
 *
 * @throws DeclarationError for an unknown option or an invalid feature
 * @example
 * export default defineApp({ name: "Shop", features: [...standardFeatures, shop] });
 */
export function defineApp(application: Application): Application {
  checkApplication(application);
  return application;
}

/** The application that `insulae start` serves without one of your own. */
export const stockApplication = defineApp({ features: [...standardFeatures, ...dialects] });
