/**
 * The command-line grammar and its documentation. Each command's code is in a file of its own,
 * loaded when the command runs.
 */
import { Command, CommanderError, Option } from "commander";
import { version } from "../app/version.ts";
import { exitCodes } from "../doctor/failure.ts";
import { printFailure, printLoss, type RunCommand, runCommand } from "./command.ts";
import { afterHelp, examplesOf } from "./help.ts";
import type { NewMigrationOptions } from "./migrate-new.ts";
import { addMoves } from "./move-program.ts";
import { positive, wholeNumber } from "./numbers.ts";
import type { ServerChangesOptions } from "./server.ts";
import type { NewTenantOptions, TenantChangesOptions } from "./tenant.ts";

/** @param args without the program's name, such as `["tenant", "list"]` */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  process.stdout.on("error", printLoss);
  process.stderr.on("error", () => {});
  const json = args.includes("--json");
  const program: Command = createProgram(
    (command) => runCommand({ json, app: program.opts().app }, command),
    json,
  );
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    // Help or the version were requested and have been printed.
    if (error instanceof CommanderError && error.exitCode === 0) return;
    if (error instanceof CommanderError && !json) process.exitCode = exitCodes.usage;
    else printFailure(error, json);
  }
}

/** The grammar. @param run runs a command; @param json whether errors are printed as JSON */
export function createProgram(run: RunCommand, json: boolean): Command {
  const program = new Command("insulae")
    .description(
      "Insulae: a multi-tenant backend. Many tenants, one house, nobody through the wall.",
    )
    .version(version)
    .option(
      "--json",
      "print exactly one JSON document on stdout, also for errors: {error: {code, message}}",
    )
    .option(
      "--app <file>",
      "the application to act on (default: insulae.config.ts in this folder, or the stock server)",
    )
    .exitOverride()
    // In JSON mode, usage errors are reported like all others.
    .configureOutput(json ? { writeErr: () => {} } : {})
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError("(see --help)")
    .addHelpText("after", afterHelp);
  addStart(program, run);
  addDev(program, run);
  addTenant(program.command("tenant").description("create, inspect and change tenants"), run);
  addServer(
    program
      .command("server")
      .description("manage the PostgreSQL servers that tenants are placed on"),
    run,
  );
  addAdmin(program.command("admin").description("let platform administrators in"), run);
  addMigrate(program.command("migrate").description("migrate the databases"), run);
  addKeys(program.command("keys").description("manage the keys that sign access tokens"), run);
  addJobs(program.command("jobs").description("inspect, retry and drop background jobs"), run);
  addAudit(program.command("audit").description("verify the audit logs"), run);
  program
    .command("logs")
    .description(
      "follow a running server's log until interrupted; with --json, one JSON object per line",
    )
    .option("-f, --follow", "stream new lines (always on)")
    .option("--url <url>", "the server (default: this machine's, at PORT)")
    .option("--token <token>", "an access token (default: INSULAE_TOKEN, or log in as ADMIN_EMAIL)")
    .option(
      "--tenant <id>",
      "only lines of the tenant with this id (not its key: `insulae tenant show` prints the id)",
    )
    .addOption(
      new Option("--level <level>", "minimum level").choices([
        ...["trace", "debug", "info", "warn", "error", "fatal"],
      ]),
    )
    .addHelpText("after", examplesOf("logs"))
    .action((options) =>
      run(async (context) => (await import("./logs.ts")).followLogs(context, options)),
    );
  program
    .command("doctor")
    .description("check this machine and its database, and say how to fix problems")
    .option("--production", "also check fitness for production", false)
    .addHelpText("after", examplesOf("doctor"))
    .action((options) =>
      run(async (context) => (await import("./doctor.ts")).doctor(context, options)),
    );
  program
    .command("prove")
    .description("prove that tables isolate tenants: every fault in them has to be noticed")
    .addHelpText("after", examplesOf("prove"))
    .action(() => run(async (context) => (await import("./prove.ts")).prove(context)));
  return program;
}

function addStart(program: Command, run: RunCommand): void {
  program
    .command("start")
    .description("start the server, and the embedded PostgreSQL unless DATABASE_URL is set")
    .option("--port <port>", "the port to listen on (default: PORT, or 8000)", port)
    .option(
      "--workers <number>",
      "number of processes that share the port and the work; auto: one per core (default: 1)",
      workers,
    )
    .addHelpText("after", examplesOf("start"))
    .action((options) =>
      run(async (context) => (await import("./start.ts")).start(context, options)),
    );
}

function addDev(program: Command, run: RunCommand): void {
  program
    .command("dev")
    .description("start the server and restart it whenever a file of the project changes")
    .option("--port <port>", "the port to listen on (default: PORT, or 8000)", port)
    .addHelpText("after", examplesOf("dev"))
    .action((options) => run(async (context) => (await import("./dev.ts")).dev(context, options)));
}

function addTenant(tenant: Command, run: RunCommand): void {
  const commands = () => import("./tenant.ts");
  tenant.addHelpText("after", examplesOf("tenant"));
  tenant
    .command("create <key>")
    .description("create a tenant, ready to use")
    .option("--name <name>", "display name (default: the key)")
    .addOption(
      new Option("--isolation <isolation>", "pool: shared tables; schema or database: its own")
        .choices(["pool", "schema", "database"])
        .default("pool"),
    )
    .option("--plan <plan>", "the plan: free, standard, premium or your own")
    .option("--host <host...>", "a host of this tenant; can be repeated")
    .option(
      "--server <server>",
      "the server to place it on (default: the one with the fewest tenants for its weight)",
    )
    .option("--owner <email>", "the account that owns it and becomes its first user")
    .addOption(registration())
    .action((key: string, options: NewTenantOptions) =>
      run(async (context) => (await commands()).createTenant(context, key, options)),
    );
  tenant
    .command("update <tenant>")
    .description("change a tenant's name, plan or registration")
    .option("--name <name>", "display name")
    .option("--plan <plan>", "the plan: free, standard, premium or your own")
    .addOption(registration())
    .action((ref: string, options: TenantChangesOptions) =>
      run(async (context) => (await commands()).updateTenant(context, ref, options)),
    );
  tenant
    .command("list")
    .description("list tenants, newest first")
    .addOption(new Option("--status <status>", "only these").choices(["active", "suspended"]))
    .option("--limit <number>", "maximum number of results", positive, 100)
    .option("--after <id>", "continue after the tenant with this id")
    .action((options) => run(async (context) => (await commands()).listTenants(context, options)));
  tenant
    .command("show <tenant>")
    .description("show a tenant and where its rows are")
    .action((ref: string) => run(async (context) => (await commands()).showTenant(context, ref)));
  tenant
    .command("suspend <tenant>")
    .description("suspend a tenant: refuse all access until it is resumed; nothing is lost")
    .action((ref: string) =>
      run(async (context) => (await commands()).suspendTenant(context, ref)),
    );
  tenant
    .command("resume <tenant>")
    .description("resume a suspended tenant")
    .action((ref: string) => run(async (context) => (await commands()).resumeTenant(context, ref)));
  tenant
    .command("delete <tenant>")
    .description("delete a tenant; its rows are erased DELETED_TENANT_DAYS later")
    .option("--yes", "don't ask to type its key", false)
    .action((ref: string, { yes }: { yes: boolean }) =>
      run(async (context) => (await commands()).deleteTenant(context, ref, yes)),
    );
  addMoves(tenant, run);
}

function addAdmin(admin: Command, run: RunCommand): void {
  admin.addHelpText("after", examplesOf("admin"));
  admin
    .command("link")
    .description("make a link that signs an administrator in to the console, once, for 15 minutes")
    .option("--email <email>", "whose (default: the first administrator's)")
    .action((options) =>
      run(async (context) => (await import("./admin.ts")).makeAdminLink(context, options)),
    );
}

function addServer(server: Command, run: RunCommand): void {
  const commands = () => import("./server.ts");
  server.addHelpText("after", examplesOf("server"));
  server
    .command("add <name> <url>")
    .description("add a PostgreSQL server: create its roles, database and tables")
    .option(
      "--weight <number>",
      "its share of new tenants, relative to the other weights",
      positive,
      1,
    )
    .addOption(directUrl())
    .action((name: string, url: string, options: { weight: number; directUrl?: string }) =>
      run(async (context) => (await commands()).addServer(context, name, url, options)),
    );
  server
    .command("list")
    .description("list the servers, whether each responds, and their numbers of tenants")
    .action(() => run(async (context) => (await commands()).listServers(context)));
  server
    .command("update <server>")
    .description("change a server, given by name or id, on all running nodes")
    .option("--url <url>", "the new URL, after a change of password or a move; - reads it")
    .addOption(directUrl())
    .option("--weight <number>", "its share of new tenants", positive)
    .addOption(
      new Option("--accepting <accepting>", "whether new tenants are placed on it").choices([
        ...["yes", "no"],
      ]),
    )
    .action((ref: string, options: ServerChangesOptions) =>
      run(async (context) => (await commands()).updateServer(context, ref, options)),
    );
  server
    .command("drain <server>")
    .description("stop placing new tenants on it and list the remaining ones")
    .action((ref: string) => run(async (context) => (await commands()).drainServer(context, ref)));
  server
    .command("remove <server>")
    .description("remove a server without tenants")
    .option(
      "--lost",
      "the server is lost for good: don't wait for the erasure of deleted tenants on it",
      false,
    )
    .action((ref: string, options: { lost: boolean }) =>
      run(async (context) => (await commands()).removeServer(context, ref, options)),
    );
}

function addKeys(keys: Command, run: RunCommand): void {
  const commands = () => import("./keys.ts");
  keys.addHelpText("after", examplesOf("keys"));
  keys
    .command("list")
    .description("list the keys: which one signs, which only verify, which are retired")
    .action(() => run(async (context) => (await commands()).showKeys(context)));
  keys
    .command("rotate")
    .description("create a new key, published now and used for signing ten minutes later")
    .option("--now", "use it for signing at once", false)
    .action(({ now }: { now: boolean }) =>
      run(async (context) => (await commands()).rotateSigningKeys(context, now)),
    );
  keys
    .command("retire <id>")
    // An id may begin with a hyphen.
    .allowUnknownOption()
    .description("retire a key: refuse every token it has signed, on every node within a second")
    .action((id: string) =>
      run(async (context) => (await commands()).retireSigningKey(context, id)),
    );
}

function addAudit(audit: Command, run: RunCommand): void {
  audit.addHelpText("after", examplesOf("audit"));
  audit
    .command("verify")
    .description("verify that audit logs are unchanged; if not, report the first wrong entry")
    .addOption(new Option("--tenant <tenant>", "this tenant's").conflicts(["platform", "all"]))
    .addOption(new Option("--platform", "the platform's").conflicts("all"))
    .option("--all", "the platform's and all tenants' (the default)")
    .addOption(
      new Option(
        "--after <tenant>",
        "continue after this tenant, where an earlier run ended",
      ).conflicts(["tenant", "platform"]),
    )
    .action((options) =>
      run(async (context) => (await import("./audit.ts")).verifyAudit(context, options)),
    );
}

function addJobs(jobs: Command, run: RunCommand): void {
  const commands = () => import("./jobs.ts");
  jobs.addHelpText("after", examplesOf("jobs"));
  jobs
    .command("list")
    .description("list jobs, newest first")
    .option("--tenant <tenant>", "only jobs of this tenant")
    .addOption(
      new Option("--state <state>", "only jobs in this state; parked: out of retries").choices([
        "waiting",
        "running",
        "completed",
        "parked",
      ]),
    )
    .option("--job <name>", "only jobs with this name")
    .option("--limit <number>", "maximum number of results", positive, 100)
    .option("--before <id>", "continue after the job with this id")
    .action((options) => run(async (context) => (await commands()).listJobs(context, options)));
  jobs
    .command("retry <id...>")
    .description("retry parked jobs at once, with their full number of retries")
    .action((ids: string[]) => run(async (context) => (await commands()).retryJobs(context, ids)));
  jobs
    .command("drop <id...>")
    .description("drop jobs; running ones are asked to stop")
    .action((ids: string[]) => run(async (context) => (await commands()).dropJobs(context, ids)));
}

function addMigrate(migrate: Command, run: RunCommand): void {
  migrate.addHelpText("after", examplesOf("migrate"));
  migrate
    .command("up")
    .description("migrate the control plane, then every placement of every server")
    .option("--concurrency <number>", "how many placements at once", positive, 2)
    .action((options) =>
      run(async (context) => (await import("./migrate-up.ts")).migrateUp(context, options)),
    );
  migrate
    .command("down")
    .description("revert the last migrations of a placement, with the rows in their tables")
    .option("--steps <number>", "how many", positive, 1)
    .option(
      "--feature <name>",
      "only this feature's migrations (default: the application's own features)",
    )
    .option("--tenant <tenant>", "in this tenant's placement, which must not be shared")
    .option("--all", "in every placement, including shared ones", false)
    .option("--yes", "don't ask", false)
    .option("--in-production", "allow it if APP_ENV is production", false)
    .action((options) =>
      run(async (context) => (await import("./migrate-down.ts")).migrateDown(context, options)),
    );
  migrate
    .command("status")
    .description("show applied and pending migrations by placement; changes nothing")
    .action(() =>
      run(async (context) => (await import("./migrate-status.ts")).migrateStatus(context)),
    );
  migrate
    .command("new <name>")
    .description("create a feature's next numbered migration file, with a down part")
    .option("--feature <name>", "the feature of the application that it belongs to")
    .option("--feature-dir <dir>", "the folder of a feature that has no migrations yet")
    .action((name: string, options: NewMigrationOptions) =>
      run(async (context) =>
        (await import("./migrate-new.ts")).newMigration(context, name, options),
      ),
    );
}

const directUrl = () =>
  new Option(
    "--direct-url <url>",
    "the URL of PostgreSQL itself, if the other leads to a connection pooler",
  );

const registration = () =>
  new Option(
    "--registration <who>",
    "whether anybody may register as its user (default: open; in production closed)",
  ).choices(["open", "closed"]);

const workers = (text: string) => (text === "auto" ? text : wholeNumber(1, 256)(text));
const port = wholeNumber(0, 65_535);
