import type { Screen } from "../../lib/screen.ts";
import { apiKeys } from "./api-keys/index.ts";
import { audit } from "./audit/index.ts";
import { data } from "./data/index.ts";
import { files } from "./files/index.ts";
import { hosts } from "./hosts/index.ts";
import { identityProviders } from "./identity-providers/index.ts";
import { invitations } from "./invitations/index.ts";
import { jobs } from "./jobs/index.ts";
import { logs } from "./logs/index.ts";
import { notifications } from "./notifications/index.ts";
import { overview } from "./overview/index.ts";
import { roles } from "./roles/index.ts";
import { settings } from "./settings/index.ts";
import { signIn } from "./sign-in/index.ts";
import { usage } from "./usage/index.ts";
import { users } from "./users/index.ts";
import { webhooks } from "./webhooks/index.ts";

/** A tenant's screens, in the order of the menu. */
export const tenantScreens: readonly Screen[] = [
  overview,
  data,
  files,
  users,
  invitations,
  roles,
  signIn,
  identityProviders,
  apiKeys,
  webhooks,
  notifications,
  jobs,
  logs,
  audit,
  usage,
  hosts,
  settings,
];
