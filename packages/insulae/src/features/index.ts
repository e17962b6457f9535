import type { Config } from "../config/config.ts";
import type { Feature } from "../kernel/feature/feature.ts";
import { accounts } from "./accounts/accounts.feature.ts";
import { apiKeys } from "./api-keys/api-keys.feature.ts";
import { audit } from "./audit/audit.feature.ts";
import { clientCertificates } from "./client-certificates/client-certificates.feature.ts";
import { contacts } from "./contacts/contacts.feature.ts";
import { doctor } from "./doctor/doctor.feature.ts";
import { documents } from "./documents/documents.feature.ts";
import { emailDomains } from "./email-domains/email-domains.feature.ts";
import { factors } from "./factors/factors.feature.ts";
import { files } from "./files/files.feature.ts";
import { idempotency } from "./idempotency/idempotency.feature.ts";
import { identityProviders } from "./identity-providers/identity-providers.feature.ts";
import { impersonations } from "./impersonations/impersonations.feature.ts";
import { invitations } from "./invitations/invitations.feature.ts";
import { isolation } from "./isolation/isolation.feature.ts";
import { jobs } from "./jobs/jobs.feature.ts";
import { logs } from "./logs/logs.feature.ts";
import { mailFeedback } from "./mail-feedback/mail-feedback.feature.ts";
import { capturedMails, mails } from "./mails/mails.feature.ts";
import { memberships } from "./memberships/memberships.feature.ts";
import { moves } from "./moves/moves.feature.ts";
import { notifications } from "./notifications/notifications.feature.ts";
import { orders } from "./orders/orders.feature.ts";
import { outbox } from "./outbox/outbox.feature.ts";
import { platformAccounts } from "./platform-accounts/platform-accounts.feature.ts";
import { products } from "./products/products.feature.ts";
import { quotas } from "./quotas/quotas.feature.ts";
import { roles } from "./roles/roles.feature.ts";
import { search } from "./search/search.feature.ts";
import { servers } from "./servers/servers.feature.ts";
import { sessionData } from "./session-data/session-data.feature.ts";
import { storageFeature } from "./storage/storage.feature.ts";
import { tenants } from "./tenants/tenants.feature.ts";
import { usage } from "./usage/usage.feature.ts";
import { userSessions } from "./user-sessions/user-sessions.feature.ts";
import { users } from "./users/users.feature.ts";
import { webhooks } from "./webhooks/webhooks.feature.ts";

/** Features of every app. Without accounts, tenants, users and roles nothing else works. */
export const coreFeatures: readonly Feature[] = [
  idempotency,
  quotas,
  sessionData,
  outbox,
  storageFeature,
  accounts,
  tenants,
  servers,
  moves,
  isolation,
  doctor,
  platformAccounts,
  users,
  roles,
  factors,
  userSessions,
  apiKeys,
  clientCertificates,
  identityProviders,
  impersonations,
  emailDomains,
  invitations,
  memberships,
  audit,
  mails,
  usage,
  notifications,
  mailFeedback,
  jobs,
  logs,
  webhooks,
];

/** Features for development and tests, never present in production. */
export const developmentFeatures: readonly Feature[] = [capturedMails];

/** Features that come with Insulae and that an app may leave out. */
export const standardFeatures: readonly Feature[] = [
  contacts,
  products,
  orders,
  documents,
  files,
  search,
];

/** All features of an application. @param given those that the application chose */
export const featuresOf = (
  { env }: Pick<Config, "env">,
  given: readonly Feature[],
): readonly Feature[] => [
  ...coreFeatures,
  ...(env === "production" ? [] : developmentFeatures),
  ...given,
];
