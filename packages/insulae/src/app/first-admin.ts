import {
  ensureAdmin,
  type FirstAdmin,
  issueStartToken,
} from "../features/accounts/accounts.feature.ts";
import { findConsole } from "./console.ts";
import type { Installation } from "./installation.ts";
import type { Services } from "./services.ts";

/**
 * Creates the first platform administrator, if there is none, with an audit entry.
 *
 * @param admin default: ADMIN_EMAIL and ADMIN_PASSWORD; without a password, one is generated
 */
export async function makeFirstAdmin(
  { config, control }: Installation,
  { platform }: Services,
  admin: Parameters<typeof ensureAdmin>[2] = {
    email: config.adminEmail,
    password: config.adminPassword,
  },
): Promise<FirstAdmin> {
  const made = await ensureAdmin(control, platform.passwords, admin);
  if (made.created) {
    await platform.audit({ action: "account.made_administrator", detail: { email: made.email } });
  }
  return made;
}

/**
 * The token of the link that a server in development prints when it starts.
 *
 * @returns undefined without a console or an administrator, and in production, where `insulae admin link` makes one
 */
export async function makeStartToken(
  { config }: Installation,
  { platform }: Services,
): Promise<string | undefined> {
  if (config.env !== "development" || config.console === "off" || !findConsole(config.env))
    return undefined;
  const actor = { kind: "system", name: "start" } as const;
  return (await issueStartToken(platform, { actor }))?.token;
}
