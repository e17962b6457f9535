/** Mails that came back after they were sent: the address is not written to any more. */
import type { TenantDatabase } from "../../kernel/data/tenant-database.ts";
import { noteReturned } from "./notifications.queries.ts";
import type { NotificationTables } from "./notifications.tables.ts";
import { noteSuppression } from "./suppressions.queries.ts";

export interface Returned {
  readonly status: "bounced" | "complained";
  /** What the other side said. */
  readonly reason: string;
}

/** Notes it of a notification; a second time, it changes nothing. */
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

/** The tenant's notifications don't go to this address any more. */
export const suppress = (
  db: Parameters<typeof noteSuppression>[0],
  recipient: string,
  { status, reason }: Returned,
) => noteSuppression(db, { type: "email", recipient, reason: status, detail: reason });
