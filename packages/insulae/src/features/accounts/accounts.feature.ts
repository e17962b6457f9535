import { feature } from "../../kernel/feature/feature.ts";
import { emailTaken } from "../users/users.feature.ts";
import { accountRoutes } from "./accounts.routes.ts";
import { newSignInMail } from "./new-sign-in.ts";
import { recoveryRoutes } from "./recovery.routes.ts";
import { startRoutes } from "./start.routes.ts";

export {
  type AccountView,
  findAccountByEmail,
  findAccountOfUser,
  findAccountStanding,
  findMembership,
  listMemberships,
} from "./accounts.queries.ts";
export {
  SessionChoice,
  SessionView,
  SignedIn,
  TenantReference,
  TenantSummary,
} from "./accounts.schemas.ts";
export { ensureAdmin, type FirstAdmin } from "./admin.ts";
export { isOwnPassword } from "./change-password.ts";
export { type Credentials, logIn, refuseLogIn } from "./log-in.ts";
export { endSessionsOf, listSessionsOf } from "./own-sessions.ts";
export { invalidLink, verifyEmail } from "./recovery.ts";
export { refresh, refreshByAccessToken } from "./refresh.ts";
export { createVerifiedAccount, invitationOnly, register } from "./registration.ts";
export {
  administratorNeedsFactor,
  enrolmentPurpose,
  ownerOf,
  secondFactorPurpose,
} from "./second-factor.ts";
export {
  bearerOf,
  destinationOf,
  findSubject,
  findUserSubject,
  mayEnter,
  replyFor,
  type SignedInReply,
  signIn,
  summaryOf,
} from "./sign-in.ts";
export type { AccountSubject, SignInContext, Subject } from "./sign-in-subject.ts";
export { siteFor, sitesOf } from "./sites.ts";
export { hasAdministratorSignedIn, issueStartToken, startSeconds } from "./start.ts";
export { accountOf, emailNotVerified, noAccount, switchTo } from "./switch.ts";
export { tenantOf } from "./tenant-of.ts";

/** Accounts and sign-in: registration, log-in, sessions, switching between tenants. */
export const accounts = feature("accounts", {
  dependsOn: ["users"],
  mails: [newSignInMail],
  constraints: { accounts_email_key: emailTaken },
  routes: (r) => [...accountRoutes(r), ...recoveryRoutes(r), ...startRoutes(r)],
});
