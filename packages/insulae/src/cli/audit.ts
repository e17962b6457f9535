import { anchorsOf } from "../kernel/audit/anchors.ts";
import { type Verdict, verifyChain } from "../kernel/audit/verify.ts";
import type { Platform } from "../kernel/platform.ts";
import type { Tenant } from "../kernel/tenancy/tenant.ts";
import type { CommandContext, Result } from "./command.ts";
import { exitCodes } from "./failure.ts";
import { withServices } from "./open.ts";
import { count, table } from "./table.ts";

export interface VerifyOptions {
  readonly tenant?: string;
  readonly platform?: boolean;
}

interface Verified extends Verdict {
  /** undefined: the platform. */
  readonly tenant: Tenant | undefined;
}

export const verifyAudit = (context: CommandContext, options: VerifyOptions): Promise<Result> =>
  withServices(context, async ({ platform }) => {
    const verified: Verified[] = [];
    if (options.tenant !== undefined) {
      verified.push(await verifyTenant(platform, await platform.tenants.get(options.tenant)));
    } else {
      verified.push(await verifyPlatform(platform));
      if (!options.platform) {
        for await (const tenant of allTenants(platform)) {
          verified.push(await verifyTenant(platform, tenant));
        }
      }
    }
    return resultOf(verified);
  });

const verifyPlatform = async ({ control }: Platform): Promise<Verified> => ({
  tenant: undefined,
  ...(await verifyChain({ name: "platform", table: "control.audit_log", db: control })),
});

const verifyTenant = ({ control, withTenant }: Platform, tenant: Tenant): Promise<Verified> =>
  withTenant(tenant, async ({ db }) => {
    const anchors = anchorsOf(control, tenant);
    return {
      tenant,
      ...(await verifyChain({ name: tenant.id, table: "audit_log", db, anchors })),
    };
  });

async function* allTenants({ tenants }: Platform): AsyncGenerator<Tenant> {
  for (let after: string | undefined; ; ) {
    const page = await tenants.list({ after, limit: 200 });
    yield* page;
    after = page.at(-1)?.id;
    if (after === undefined) return;
  }
}

function resultOf(verified: readonly Verified[]): Result {
  const wrong = verified.filter(({ problem }) => problem);
  const nameOf = ({ tenant }: Verified) => tenant?.key ?? "(platform)";
  const rows = verified.map((log) => [
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
        tenant: tenant ? { id: tenant.id, key: tenant.key } : null,
        head: head ?? null,
        problem: problem ?? null,
      })),
    },
    text: [table(["LOG", "ENTRIES", "STATE", "HEAD"], rows), "", summary].join("\n"),
    exitCode: wrong.length === 0 ? exitCodes.ok : exitCodes.failed,
  };
}
