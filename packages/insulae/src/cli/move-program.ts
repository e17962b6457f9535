/** The grammar of the commands that move tenants. */
import { type Command, Option } from "commander";
import type { RunCommand } from "./command.ts";
import type { MoveOptions } from "./move.ts";
import { positive, wholeNumber } from "./numbers.ts";

/** @param tenant the command that they belong to */
export function addMoves(tenant: Command, run: RunCommand): void {
  const commands = () => import("./move.ts");
  tenant
    .command("move <tenant>")
    .description("move a tenant to another isolation or server, while it is used")
    .addOption(
      new Option("--isolation <isolation>", "pool: shared tables; schema or database: its own")
        .choices(["pool", "schema", "database"])
        .makeOptionMandatory(),
    )
    .option("--server <server>", "the server to move it to (default: its own)")
    .option(
      "--keep-hours <hours>",
      "how long the source is kept (default: 24)",
      wholeNumber(0, 720),
    )
    .option("--dry-run", "show what would move, and change nothing", false)
    .action((ref: string, options: MoveOptions) =>
      run(async (context) => (await commands()).moveTenant(context, ref, options)),
    );
  tenant
    .command("moves [tenant]")
    .description("list moves, newest first")
    .option("--limit <number>", "maximum number of results", positive, 20)
    .action((ref: string | undefined, { limit }: { limit: number }) =>
      run(async (context) => (await commands()).listMoves(context, ref, limit)),
    );
  tenant
    .command("revert <tenant>")
    .description("move a tenant back to the place that is kept, with everything written since")
    .action((ref: string) => run(async (context) => (await commands()).revertMove(context, ref)));
  tenant
    .command("abort-move <tenant>")
    .description("undo a tenant's move that has not cut over")
    .action((ref: string) => run(async (context) => (await commands()).abortMove(context, ref)));
}
