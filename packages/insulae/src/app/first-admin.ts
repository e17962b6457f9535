import { ensureAdmin, type FirstAdmin } from "../features/accounts/accounts.feature.ts";
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
