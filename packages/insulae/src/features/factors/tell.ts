import type { Platform } from "../../kernel/feature/platform.ts";
import type { Subject as Owner } from "../../kernel/identity/subject.ts";
import { findSubject } from "../accounts/accounts.feature.ts";
import { type Notice, noticeMail } from "../users/users.feature.ts";

/** E-mails the owner of factors about a change or a suspected attack. */
export async function notifyOfFactors(
  platform: Platform,
  owner: Owner,
  what: Notice,
): Promise<void> {
  const subject = await findSubject(platform, owner);
  if (!subject) return;
  const isUser = "tenant" in subject;
  await platform.mail.send(noticeMail, {
    to: isUser ? subject.user.email : subject.account.email,
    tenant: isUser ? subject.tenant : undefined,
    variables: { what, at: new Date().toUTCString() },
  });
}
