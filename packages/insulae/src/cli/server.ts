import { text as readText } from "node:stream/consumers";
import type { CommandContext, Result } from "./command.ts";
import { CommandError, exitCodes } from "./failure.ts";
import { cliActor, withInstallation, withServices } from "./open.ts";
import { table } from "./table.ts";

/**
 * @param url the administrator's, or `-` to read it from stdin.
 * @param options.directUrl if the other leads to a connection pooler: that of PostgreSQL itself.
 */
export async function addServer(
  context: CommandContext,
  name: string,
  url: string,
  { weight, directUrl }: { readonly weight: number; readonly directUrl?: string },
): Promise<Result> {
  const given = url === "-" ? (await readText(process.stdin)).trim() : url;
  for (const each of [given, directUrl]) {
    if (each === undefined || (/^postgres(ql)?:\/\/\S+$/.test(each) && URL.canParse(each)))
      continue;
    const message = "The URL must be one such as postgresql://user:password@host:5432/insulae.";
    throw new CommandError("url_invalid", message, exitCodes.usage);
  }
  return withServices(context, async ({ platform }) => {
    context.note(`Preparing ${new URL(given).host} …`);
    const server = await platform.servers.add({ name, url: given, directUrl, weight });
    await platform.audit({
      action: "server.added",
      actor: cliActor(),
      target: { type: "server", id: server.id },
      detail: { name, host: new URL(given).host, weight },
    });
    return {
      document: server,
      text: `Added ${name}. New tenants are placed on it by its weight (${weight}).`,
    };
  });
}

export const listServers = (context: CommandContext): Promise<Result> =>
  withInstallation(context, undefined, async ({ servers }) => {
    const items = await servers.list();
    const rows = items.map(({ name, weight, accepting, tenants }) => [
      ...[name, weight, accepting ? "yes" : "no", tenants],
    ]);
    return {
      document: { items },
      text: table(["NAME", "WEIGHT", "ACCEPTS TENANTS", "TENANTS"], rows),
    };
  });
