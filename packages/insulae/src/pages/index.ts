import type { Config } from "../config/config.ts";
import type { Page } from "../kernel/http/server/html-pages.ts";
import { firstPage } from "./first-page.ts";
import { mailsPage } from "./mails-page.ts";

interface PagesOptions {
  readonly config: Config;
  /** The application's name. */
  readonly name: string;
  readonly version: string;
  /** At `/` as well, instead of the first page. */
  readonly hasConsole: boolean;
}

/** The server's pages by path. In production there are none. */
export function pagesOf({
  config,
  name,
  version,
  hasConsole,
}: PagesOptions): Readonly<Record<string, Page>> {
  if (config.env === "production") return {};
  const mails = config.mail === "capture";
  return {
    ...(!hasConsole && {
      "/": firstPage({
        name,
        version,
        environment: config.env,
        embedded: config.databaseUrl === undefined,
        since: new Date(),
        mails,
        metricsToken: config.metricsToken !== undefined,
      }),
    }),
    ...(mails && { "/dev/mails": mailsPage(name) }),
  };
}
