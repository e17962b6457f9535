import { styleText } from "node:util";
import type { Config } from "../config/config.ts";
import type { FirstAdmin } from "../features/accounts/accounts.feature.ts";

export interface Started {
  /** The application's name; absent: Insulae itself. */
  readonly name?: string | undefined;
  readonly version: string;
  readonly url: string;
  readonly config: Config;
  readonly admin: FirstAdmin | undefined;
  /** Signs the administrator in to the console, once; undefined: there is no console, or it is production. */
  readonly startToken: string | undefined;
  readonly seconds: number;
}

/** The same for programs. */
export const welcomeDocument = ({
  version,
  url,
  config,
  admin,
}: Omit<Started, "seconds" | "startToken">) => ({
  version,
  url,
  console: config.console === "off" ? null : `${config.baseUrl}/console`,
  swagger_ui: `${url}/swagger-ui`,
  redoc: `${url}/redoc`,
  openapi: `${url}/api-docs/openapi.json`,
  environment: config.env,
  data: config.databaseUrl === undefined ? config.dataDir : withoutPassword(config.databaseUrl),
  admin: admin === undefined ? null : { email: admin.email, password: admin.password ?? null },
  pid: process.pid,
});

/** The banner after a start: URLs, credentials, next steps. */
export function welcome(started: Started): string {
  const { name, version, url, config, admin, startToken, seconds } = started;
  const title = name === undefined ? `Insulae ${version}` : name;
  const lines = [
    "",
    `  ${styleText("bold", title)}  ready in ${seconds.toFixed(1)} s`,
    "",
    ...describeStart(url, config, startToken),
    `  API         ${url}/api/v1`,
    `  Reference   ${url}/swagger-ui  or  ${url}/redoc`,
    `  Data        ${describeData(config)}`,
    ...(admin ? [`  Admin       ${describeAdmin(admin)}`] : []),
    "",
    "  Stop with Ctrl-C.",
    "",
  ];
  return lines.join("\n");
}

function describeStart(url: string, config: Config, startToken: string | undefined): string[] {
  if (config.env === "production") return [];
  if (startToken === undefined) return [`  Start here  ${url}`];
  const link = `${config.baseUrl}/console/start#${startToken}`;
  return [`  Console     ${styleText("bold", link)}  (signs you in once, for 15 minutes)`];
}

const describeData = ({ databaseUrl, dataDir }: Config): string =>
  databaseUrl === undefined
    ? `${dataDir}  (embedded PostgreSQL)`
    : `${withoutPassword(databaseUrl)}  (DATABASE_URL)`;

const describeAdmin = ({ email, password }: FirstAdmin): string =>
  password === undefined
    ? email
    : `${email}  password ${styleText("bold", password)}  (shown this once)`;

export function withoutPassword(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.password = "";
  url.search = "";
  return url.href;
}
