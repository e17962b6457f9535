import { anchorsOf } from "../kernel/audit/anchors.ts";
import { type Verdict, verifyChain } from "../kernel/audit/verify.ts";
import type { Platform } from "../kernel/feature/platform.ts";
import { eachOf } from "../kernel/lib/each-of.ts";
import type { Tenant, TenantId } from "../kernel/tenancy/tenant.ts";
import type { CommandContext, Result } from "./command.ts";
import { exitCodes } from "./failure.ts";
import { withServices } from "./open.ts";
import { count, table } from "./table.ts";

export interface VerifyOptions {
  readonly tenant?: string;
  readonly platform?: boolean;
  readonly after?: string;
}

/** Small: there may be a hundred thousand. */
interface Verified extends Verdict {
  /** null: the platform. */
  readonly tenant: Pick<Tenant, "id" | "key"> | null;
}

const page = 200;
const verifiedAtOnce = 8;
/** After so many tenants it says where to go on from. */
const notedEvery = 5_000;
/** Of more logs than that only those that are wrong are shown as text. */
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

/** All of them, newest first, some at once. @param after only those that follow this one. */
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
      note(`${done} tenants' logs are verified; --after ${final.key} goes on from there`);
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
      ? `${count("log", verified.length)}: as they were written.`
      : `Tampered with: ${wrong.map(nameOf).join(", ")}. What follows a wrong entry can't be trusted either.`;
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
