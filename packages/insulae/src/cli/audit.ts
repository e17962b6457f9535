import { exitCodes } from "../doctor/failure.ts";
import { anchorsOf } from "../kernel/audit/anchors.ts";
import { type Verdict, verifyChain } from "../kernel/audit/verify.ts";
import type { Platform } from "../kernel/feature/platform.ts";
import { count } from "../kernel/lib/count.ts";
import { eachOf } from "../kernel/lib/each-of.ts";
import type { TenantId } from "../kernel/lib/ids.ts";
import type { Tenant } from "../kernel/model/tenant.ts";
import type { CommandContext, Result } from "./command.ts";
import { withServices } from "./open.ts";
import { table } from "./table.ts";

export interface VerifyOptions {
  readonly tenant?: string;
  readonly platform?: boolean;
  readonly after?: string;
}

/** Kept small: there may be a hundred thousand. */
interface Verified extends Verdict {
  /** null: the platform's log. */
  readonly tenant: Pick<Tenant, "id" | "key"> | null;
}

const page = 200;
const verifiedAtOnce = 8;
/** How many tenants to verify between progress notes that say where to continue. */
const notedEvery = 5_000;
/** With more logs than this, the text output lists only the wrong ones. */
const mostShown = 200;

export const verifyAudit = (context: CommandContext, options: VerifyOptions): Promise<Result> =>
  withServices(context, "look", async ({ platform }) => {
    if (options.tenant !== undefined) {
      return resultOf([await verifyTenant(platform, await platform.tenants.get(options.tenant))]);
    }
    const { after: last } = options;
    const after = last === undefined ? undefined : await platform.tenants.get(last);
    const verified = after ? [] : [await verifyPlatform(platform)];
    if (!options.platform) await verifyTenants(platform, context, verified, after?.id);
    return resultOf(verified);
  });

/** Verifies all tenants, newest first, several at once. @param after start after this tenant */
async function verifyTenants(
  platform: Platform,
  { note }: CommandContext,
  verified: Verified[],
  after: TenantId | undefined,
): Promise<void> {
  let last = after;
  for (let done = 0; ; ) {
    const tenants = await platform.tenants.list({ after: last, limit: page });
    const found: Verified[] = [];
    await eachOf(tenants.entries(), verifiedAtOnce, async ([index, tenant]) => {
      found[index] = await verifyTenant(platform, tenant);
    });
    verified.push(...found);
    done += tenants.length;
    const final = tenants.at(-1);
    if (!final) return;
    last = final.id;
    if (done % notedEvery === 0) {
      note(`Verified the logs of ${done} tenants; use --after ${final.key} to continue from here`);
    }
  }
}

const verifyPlatform = async ({ control }: Platform): Promise<Verified> => ({
  tenant: null,
  ...(await verifyChain({ name: "platform", table: "control.audit_log", db: control })),
});

const verifyTenant = ({ control, withTenant }: Platform, tenant: Tenant): Promise<Verified> =>
  withTenant(tenant, async ({ db }) => {
    const { id, key } = tenant;
    const anchors = anchorsOf(control, tenant);
    return {
      tenant: { id, key },
      ...(await verifyChain({ name: id, table: "audit_log", db, anchors })),
    };
  });

function resultOf(verified: readonly Verified[]): Result {
  const wrong = verified.filter(({ problem }) => problem);
  const nameOf = ({ tenant }: Verified) => tenant?.key ?? "(platform)";
  const shown = verified.length > mostShown ? wrong : verified;
  const rows = shown.map((log) => [
    nameOf(log),
    log.head?.seq ?? 0,
    log.problem ? `entry ${log.problem.seq} ${log.problem.problem}` : "whole",
    log.head?.hash ?? "–",
  ]);
  const summary =
    wrong.length === 0
      ? `${count("log", verified.length)}: unchanged since they were written.`
      : `Tampered with: ${wrong.map(nameOf).join(", ")}. Entries after a wrong one can't be trusted either.`;
  return {
    document: {
      whole: wrong.length === 0,
      logs: verified.map(({ tenant, head, problem }) => ({
        tenant,
        head: head ?? null,
        problem: problem ?? null,
      })),
    },
    text:
      rows.length === 0
        ? summary
        : [table(["LOG", "ENTRIES", "STATE", "HEAD"], rows), "", summary].join("\n"),
    exitCode: wrong.length === 0 ? exitCodes.ok : exitCodes.failed,
  };
}
