import { text as readText } from "node:stream/consumers";
import { CommandError, exitCodes } from "../doctor/failure.ts";
import { answersNow } from "../kernel/engine/connect.ts";
import { count } from "../kernel/lib/count.ts";
import type { Server } from "../kernel/tenancy/server.ts";
import type { CommandContext, Result } from "./command.ts";
import { cliActor, withInstallation, withServices } from "./open.ts";
import { table } from "./table.ts";

const targetOf = ({ id }: Server) => ({ type: "server", id });

/** @param url an administrator's URL, or `-` to read it from stdin */
async function readUrl(url: string): Promise<string> {
  const given = url === "-" ? (await readText(process.stdin)).trim() : url;
  if (!/^postgres(ql)?:\/\/\S+$/.test(given) || !URL.canParse(given)) {
    const message = "The URL must look like postgresql://user:password@host:5432/insulae.";
    throw new CommandError("url_invalid", message, exitCodes.usage);
  }
  return given;
}

/** @param options.directUrl PostgreSQL's own URL, if the other leads to a connection pooler */
export async function addServer(
  context: CommandContext,
  name: string,
  url: string,
  { weight, directUrl }: { readonly weight: number; readonly directUrl?: string },
): Promise<Result> {
  const given = await readUrl(url);
  const direct = directUrl === undefined ? undefined : await readUrl(directUrl);
  return withServices(context, "change", async ({ platform }) => {
    context.note("Preparing the server …");
    const server = await platform.servers.add({ name, url: given, directUrl: direct, weight });
    await platform.audit({
      action: "server.added",
      actor: cliActor(),
      target: targetOf(server),
      detail: { name, address: server.address, weight },
    });
    return {
      document: server,
      text: `Added ${name}. New tenants are placed on it with weight ${weight}.`,
    };
  });
}

export interface ServerChangesOptions {
  readonly url?: string;
  /** PostgreSQL's own URL, if the other leads to a connection pooler. */
  readonly directUrl?: string;
  readonly weight?: number;
  readonly accepting?: "yes" | "no";
}

export async function updateServer(
  context: CommandContext,
  reference: string,
  { url, directUrl, weight, accepting }: ServerChangesOptions,
): Promise<Result> {
  if (url === undefined && weight === undefined && accepting === undefined) {
    const message = "Nothing to change. Give --url, --weight or --accepting.";
    throw new CommandError("nothing_to_change", message, exitCodes.usage);
  }
  const given = url === undefined ? undefined : await readUrl(url);
  const direct = directUrl === undefined ? undefined : await readUrl(directUrl);
  return withServices(context, "change", async ({ platform }) => {
    if (given !== undefined) context.note("Checking the databases there …");
    const change = { weight, accepting: accepting && accepting === "yes" };
    const server = await platform.servers.update(reference, {
      ...{ url: given, directUrl: direct },
      ...change,
    });
    await platform.audit({
      action: "server.changed",
      actor: cliActor(),
      target: targetOf(server),
      detail: { ...change, ...(given !== undefined && { address: server.address }) },
    });
    const moved = given === undefined ? "" : ` All nodes connect to ${server.address} from now on.`;
    return { document: server, text: `Changed ${server.name}.${moved}` };
  });
}

const mostShown = 100;

export const drainServer = (context: CommandContext, reference: string): Promise<Result> =>
  withServices(context, "change", async ({ platform }) => {
    const server = await platform.servers.update(reference, { accepting: false });
    const left = await platform.servers.tenantsOn(server.id, { limit: mostShown });
    await platform.audit({
      action: "server.drained",
      actor: cliActor(),
      target: targetOf(server),
      detail: { tenants: server.tenants },
    });
    const rows = left.map(({ id, key, status, isolation, database, schema }) => [
      ...[id, key, status, isolation, `${database}.${schema}`],
    ]);
    const heads = ["ID", "KEY", "STATUS", "ISOLATION", "PLACE"];
    const who =
      left.length === 0
        ? `No tenants are left on it. To remove it: insulae server remove ${server.name}`
        : `Left on it: ${count("tenant", server.tenants)}, and deleted ones that are not erased yet${left.length === mostShown ? ` (the first ${mostShown})` : ""}:\n\n${table(heads, rows)}`;
    return {
      document: { server, left },
      text: `${server.name} gets no new tenants, except by requests that name it. ${who}`,
    };
  });

/**
 * @param options.lost the server is lost for good: don't wait until deleted tenants are erased from
 * it
 */
export const removeServer = (
  context: CommandContext,
  reference: string,
  { lost = false }: { readonly lost?: boolean } = {},
): Promise<Result> =>
  withServices(context, "change", async ({ platform }) => {
    const server = await platform.servers.remove(reference, { lost });
    const { name, address, given_up } = server;
    await platform.audit({
      action: "server.removed",
      actor: cliActor(),
      target: targetOf(server),
      detail: { name, address, ...(lost && { lost, given_up }) },
    });
    const rest = lost
      ? `Gave up the rows of ${count("deleted tenant", given_up)} on it.`
      : "Its database and roles are still there.";
    return { document: server, text: `Removed ${name}. ${rest}` };
  });

/** Lists the servers and whether each responds. */
export const listServers = (context: CommandContext): Promise<Result> =>
  withInstallation(context, "look", async ({ servers, connect, main }) => {
    const items = await Promise.all(
      (await servers.list()).map(async (server) => {
        const target = { serverId: server.id, database: main.database, role: "owner" } as const;
        return { ...server, answers: await answersNow(connect, target) };
      }),
    );
    const yes = (is: boolean) => (is ? "yes" : "no");
    const rows = items.map(({ name, address, weight, accepting, answers, tenants }) => [
      ...[name, address, weight, yes(accepting), yes(answers), tenants],
    ]);
    const heads = ["NAME", "ADDRESS", "WEIGHT", "ACCEPTS TENANTS", "ANSWERS", "TENANTS"];
    return { document: { items }, text: table(heads, rows) };
  });
