import type { Config } from "../config/config.ts";
import type { Page } from "../kernel/http/server/html-pages.ts";
import { actionPages } from "./action-pages.ts";
import { firstPage } from "./first-page.ts";
import { mailsPage } from "./mails-page.ts";

interface PagesOptions {
  readonly config: Config;
  /** The application's name. */
  readonly name: string;
  readonly version: string;
}

/**
 * The server's pages by path. In production these are at most the ones behind links in e-mails,
 * which reveal nothing about the server.
 */
export function pagesOf({ config, name, version }: PagesOptions): Readonly<Record<string, Page>> {
  const mails = config.mail === "capture";
  return {
    ...(config.appUrl === config.baseUrl && actionPages(name)),
    ...(config.env !== "production" && {
      "/": firstPage({
        name,
        version,
        environment: config.env,
        embedded: config.databaseUrl === undefined,
        since: new Date(),
        mails,
        metricsToken: config.metricsToken !== undefined,
      }),
      ...(mails && { "/dev/mails": mailsPage(name) }),
    }),
  };
}
