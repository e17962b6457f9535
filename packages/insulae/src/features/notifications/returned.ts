/** Handles bounced e-mails: records them and suppresses the address. */
import type { TenantDatabase } from "../../kernel/data/tenant-database.ts";
import { noteReturned } from "./notifications.queries.ts";
import type { NotificationTables } from "./notifications.tables.ts";
import { noteSuppression } from "./suppressions.queries.ts";

export interface Returned {
  readonly status: "bounced" | "complained";
  /** The reason given by the receiving server or mailbox provider. */
  readonly reason: string;
}

/** Records it with the notification. Has no effect the second time. */
export const notificationReturned = (
  db: TenantDatabase<NotificationTables>,
  id: string,
  returned: Returned,
): Promise<boolean> =>
  db.transaction().execute(async (tx) => {
    const found = await noteReturned(tx, id, returned);
    if (found) await suppress(tx, found.recipient, returned);
    return found !== undefined;
  });

/** Stops the tenant's notifications to this address. */
export const suppress = (
  db: Parameters<typeof noteSuppression>[0],
  recipient: string,
  { status, reason }: Returned,
) => noteSuppression(db, { type: "email", recipient, reason: status, detail: reason });
