/**
 * Signs a platform administrator in by a link instead of a password: the one that a server in development prints when it
 * starts, or that of `insulae admin link`. Whoever can make one has the database and the master secret anyway. It works
 * once, for 15 minutes; a newer link of the same administrator replaces it. A second factor is asked for as always.
 */
import type { AuditActor, TenantAudit } from "../../kernel/audit/audit.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { AccountId } from "../../kernel/lib/ids.ts";
import { invalidLink } from "./recovery.ts";
import { findAccountSubject, type SignedInReply, signIn } from "./sign-in.ts";
import type { SignInContext } from "./sign-in-subject.ts";

const purpose = "start";
export const startSeconds = 900;

export interface StartToken {
  readonly email: string;
  readonly token: string;
}

/**
 * @param options.email whose link it is; default: the oldest administrator's
 * @returns undefined if there is no such active administrator
 */
export async function issueStartToken(
  { control, oneTimeTokens, audit }: Pick<Platform, "control" | "oneTimeTokens" | "audit">,
  { actor, email }: { readonly actor: AuditActor; readonly email?: string | undefined },
): Promise<StartToken | undefined> {
  const account = await control
    .selectFrom("control.accounts")
    .select(["id", "email"])
    .where("platform_admin", "=", true)
    .where("is_active", "=", true)
    .$if(email !== undefined, (query) => query.where("email", "=", email ?? ""))
    .orderBy("created_at")
    .limit(1)
    .executeTakeFirst();
  if (!account) return undefined;
  const subject = { tenantId: null, id: account.id };
  const token = await oneTimeTokens.issue({ purpose, subject, ttlSeconds: startSeconds });
  const target = { type: "account", id: account.id };
  await audit({ action: "account.start_link_made", actor, target });
  return { email: account.email, token };
}

/** @throws invalidLink, secondFactorRequired */
export async function signInByLink(
  context: SignInContext & { readonly audit: TenantAudit },
  token: string,
): Promise<SignedInReply> {
  const { platform, audit } = context;
  const redeemed = await platform.oneTimeTokens.redeem(purpose, token);
  const id = redeemed?.subject.id as AccountId | undefined; // issued for accounts only
  const subject = id && (await findAccountSubject(platform, id));
  if (!subject?.account.platform_admin) throw invalidLink();
  const signedIn = await signIn(context, subject, { amr: ["otp"] });
  const { email } = subject.account;
  await audit({
    action: "auth.started",
    tenant: null,
    actor: { kind: "account", id: subject.account.id, name: email },
  });
  return signedIn;
}

/** As far as sessions are kept: 30 days after they have ended. */
export async function hasAdministratorSignedIn({
  control,
}: Pick<Platform, "control">): Promise<boolean> {
  const session = await control
    .selectFrom("control.sessions as s")
    .innerJoin("control.accounts as a", "a.id", "s.subject_id")
    .select("s.id")
    .where("s.tenant_id", "is", null)
    .where("a.platform_admin", "=", true)
    .limit(1)
    .executeTakeFirst();
  return session !== undefined;
}
