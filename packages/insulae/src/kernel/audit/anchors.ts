/**
 * Anchors: the platform's log regularly records the head of each tenant's log that has grown.
 * Truncating or rewriting a tenant's log then requires doing the same to the platform's, whose own
 * head is written to the server's log, outside the database.
 */
import { type Kysely, sql } from "kysely";
import { eachOf } from "../lib/each-of.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import type { AuditOptions, WriteAudit } from "./audit.ts";
import { chainPlatformLog } from "./platform-chain.ts";
import type { Head } from "./verify.ts";

export const anchored = "audit.anchored";

const anchoredAtOnce = 4;

interface HeadRow {
  readonly seq: string;
  readonly hash: string;
}

export interface Anchors {
  /**
   * Anchors the heads of logs that have grown in this process since the last call. @param signal
   * stops it
   */
  readonly anchor: (signal?: AbortSignal) => Promise<void>;
}

/** @param grown tenants whose logs have grown; anchored ones are removed from it */
export function createAnchors(
  { control, databaseOf, log }: AuditOptions,
  write: WriteAudit,
  grown: Map<TenantId, Tenant>,
): Anchors {
  const anchorOne = async (tenant: Tenant): Promise<void> => {
    const { rows } = await sql<HeadRow>`
      select seq, hash from audit_log order by seq desc limit 1`.execute(databaseOf(tenant));
    if (!rows[0]) return;
    const { seq, hash } = rows[0];
    await write({
      action: anchored,
      target: { type: "tenant", id: tenant.id },
      detail: { seq: Number(seq), head: hash },
    });
  };

  return {
    async anchor(signal) {
      if (grown.size === 0) return;
      const anchorNext = (tenant: Tenant) => {
        grown.delete(tenant.id);
        // A tenant that was moved or erased meanwhile must not stop the others.
        return anchorOne(tenant).catch((error: unknown) =>
          log.error({ err: error, tenant_id: tenant.id }, "Could not anchor an audit log"),
        );
      };
      await eachOf(grown.values(), anchoredAtOnce, anchorNext, signal);
      await logHead(control, log);
    },
  };
}

async function logHead(control: Kysely<ControlTables>, log: Logger): Promise<void> {
  await chainPlatformLog(control);
  const { rows } = await sql<HeadRow>`
    select seq, hash from control.audit_log where seq is not null order by seq desc limit 1`.execute(
    control,
  );
  log.info(
    { seq: Number(rows[0]?.seq), head: rows[0]?.hash },
    "The head of the platform's audit log",
  );
}

/** The tenant's anchored heads with numbers in the range (`after` exclusive). */
export const anchorsOf =
  (control: Kysely<ControlTables>, tenant: Pick<Tenant, "id">) =>
  async (after: number, to: number): Promise<readonly Head[]> => {
    const { rows } = await sql<HeadRow>`
      select detail ->> 'seq' as seq, detail ->> 'head' as hash
      from control.audit_log
      where action = ${anchored} and target_id = ${tenant.id}
        and (detail ->> 'seq')::bigint > ${after} and (detail ->> 'seq')::bigint <= ${to}
      order by (detail ->> 'seq')::bigint
      limit 10000`.execute(control);
    return rows.map(({ seq, hash }) => ({ seq: Number(seq), hash }));
  };
