import { CommandError, exitCodes } from "../doctor/failure.ts";
import { issueStartToken, startSeconds } from "../features/accounts/accounts.feature.ts";
import { canonicalEmail } from "../kernel/validation/email.ts";
import type { CommandContext, Result } from "./command.ts";
import { cliActor, withServices } from "./open.ts";

/** Makes a link that signs a platform administrator in, for whoever has lost the password. */
export const makeAdminLink = (
  context: CommandContext,
  { email }: { readonly email?: string },
): Promise<Result> =>
  withServices(context, "change", async ({ platform }, { config }) => {
    if (config.console === "off") {
      const message = "The link leads to the console, and CONSOLE is off. Set CONSOLE=platform.";
      throw new CommandError("console_off", message, exitCodes.refused);
    }
    const made = await issueStartToken(platform, {
      actor: cliActor(),
      email: email === undefined ? undefined : canonicalEmail(email),
    });
    if (!made) {
      const message =
        email === undefined
          ? "There is no active platform administrator. Start the server once with ADMIN_EMAIL and ADMIN_PASSWORD."
          : `${email} is no active platform administrator.`;
      throw new CommandError("no_administrator", message, exitCodes.failed);
    }
    const url = `${config.baseUrl}/console/start#${made.token}`;
    const minutes = startSeconds / 60;
    return {
      document: { url, email: made.email, expires_in: startSeconds },
      text: `${url}\n\nIt signs ${made.email} in, once, for ${minutes} minutes. A newer link replaces it.`,
    };
  });
