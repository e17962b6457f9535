/**
 * What can be typed after `insulae`. Only the grammar and its documentation are here; what a command
 * does is in a file of its own, which is loaded when the command runs.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { version } from "../app/version.ts";
import { printFailure, printLoss, type RunCommand, runCommand } from "./command.ts";
import { exitCodes } from "./failure.ts";
import { afterHelp, examplesOf } from "./help.ts";
import type { NewMigrationOptions } from "./migrate-new.ts";
import type { ServerChangesOptions } from "./server.ts";
import type { NewTenantOptions, TenantChangesOptions } from "./tenant.ts";

/** @param args without the program's name: `["tenant", "list"]` */
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
    // Help and the version were asked for, and have been printed.
    if (error instanceof CommanderError && error.exitCode === 0) return;
    if (error instanceof CommanderError && !json) process.exitCode = exitCodes.usage;
    else printFailure(error, json);
  }
}

/** The grammar. @param run carries out a command; @param json whether errors are printed as JSON */
export function createProgram(run: RunCommand, json: boolean): Command {
  const program = new Command("insulae")
    .description(
      "Insulae: a multi-tenant backend. Many tenants, one house, nobody through the wall.",
    )
    .version(version)
    .option(
      "--json",
      "print exactly one JSON document on stdout; errors too: {error: {code, message}}",
    )
    .option(
      "--app <file>",
      "the application to act on (default: insulae.config.ts of this folder, or the stock server)",
    )
    .exitOverride()
    // In JSON mode a mistake in the command line is reported as all errors are.
    .configureOutput(json ? { writeErr: () => {} } : {})
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError("(--help says more)")
    .addHelpText("after", afterHelp);
  addStart(program, run);
  addDev(program, run);
  addTenant(program.command("tenant").description("make, look at and change tenants"), run);
  addServer(
    program.command("server").description("PostgreSQL servers that tenants are placed on"),
    run,
  );
  addMigrate(
    program.command("migrate").description("bring the databases to this version, or back"),
    run,
  );
  addKeys(program.command("keys").description("the keys that sign access tokens"), run);
  addJobs(program.command("jobs").description("what is done after the answer"), run);
  addAudit(program.command("audit").description("what has been done, and by whom"), run);
  program
    .command("logs")
    .description("follow a running server's log, until interrupted; --json: one JSON object a line")
    .option("-f, --follow", "as they are written (it always does)")
    .option("--url <url>", "the server (default: this machine's, at PORT)")
    .option(
      "--token <token>",
      "an access token (default: INSULAE_TOKEN, or the one of ADMIN_EMAIL)",
    )
    .option("--tenant <id>", "only the lines of the tenant with this id")
    .addOption(
      new Option("--level <level>", "from this level on").choices([
        ...["trace", "debug", "info", "warn", "error", "fatal"],
      ]),
    )
    .addHelpText("after", examplesOf("logs"))
    .action((options) =>
      run(async (context) => (await import("./logs.ts")).followLogs(context, options)),
    );
  program
    .command("doctor")
    .description("say what is wrong with this machine and this database, and what to do")
    .option("--production", "say what is missing for production, too", false)
    .addHelpText("after", examplesOf("doctor"))
    .action((options) =>
      run(async (context) => (await import("./doctor.ts")).doctor(context, options)),
    );
  return program;
}

function addStart(program: Command, run: RunCommand): void {
  program
    .command("start")
    .description("start the server, and the embedded PostgreSQL unless DATABASE_URL is set")
    .option("--port <port>", "the port to listen on (default: PORT, or 8000)", port)
    .option(
      "--workers <number>",
      "processes that share the port and the work; auto: one for each core (default: 1)",
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
    .description("start the server, and again whenever a file of the project changes")
    .option("--port <port>", "the port to listen on (default: PORT, or 8000)", port)
    .addHelpText("after", examplesOf("dev"))
    .action((options) => run(async (context) => (await import("./dev.ts")).dev(context, options)));
}

function addTenant(tenant: Command, run: RunCommand): void {
  const commands = () => import("./tenant.ts");
  tenant.addHelpText("after", examplesOf("tenant"));
  tenant
    .command("create <key>")
    .description("make a tenant: placed, migrated, ready")
    .option("--name <name>", "what people call it (default: the key)")
    .addOption(
      new Option("--isolation <isolation>", "rows among others', a schema or a database of its own")
        .choices(["pool", "schema", "database"])
        .default("pool"),
    )
    .option("--plan <plan>", "its limits: free, standard, premium or your own")
    .option("--host <host...>", "a host that is this tenant's; may be repeated")
    .option("--server <server>", "where to place it (default: the least loaded for its weight)")
    .option("--owner <email>", "the account that owns it, and is its first user")
    .addOption(registration())
    .action((key: string, options: NewTenantOptions) =>
      run(async (context) => (await commands()).createTenant(context, key, options)),
    );
  tenant
    .command("update <tenant>")
    .description("change a tenant's name, plan or registration")
    .option("--name <name>", "what people call it")
    .option("--plan <plan>", "its limits: free, standard, premium or your own")
    .addOption(registration())
    .action((ref: string, options: TenantChangesOptions) =>
      run(async (context) => (await commands()).updateTenant(context, ref, options)),
    );
  tenant
    .command("list")
    .description("list tenants, newest first")
    .addOption(new Option("--status <status>", "only these").choices(["active", "suspended"]))
    .option("--limit <number>", "how many at most", positive, 100)
    .option("--after <id>", "go on after the tenant with this id")
    .action((options) => run(async (context) => (await commands()).listTenants(context, options)));
  tenant
    .command("show <tenant>")
    .description("show a tenant and where its rows are")
    .action((ref: string) => run(async (context) => (await commands()).showTenant(context, ref)));
  tenant
    .command("suspend <tenant>")
    .description("nobody gets in until it is resumed; nothing is lost")
    .action((ref: string) =>
      run(async (context) => (await commands()).suspendTenant(context, ref)),
    );
  tenant
    .command("resume <tenant>")
    .description("let a suspended tenant's users in again")
    .action((ref: string) => run(async (context) => (await commands()).resumeTenant(context, ref)));
  tenant
    .command("delete <tenant>")
    .description("delete a tenant; its rows are erased DELETED_TENANT_DAYS later")
    .option("--yes", "don't ask for its key to be typed", false)
    .action((ref: string, { yes }: { yes: boolean }) =>
      run(async (context) => (await commands()).deleteTenant(context, ref, yes)),
    );
}

function addServer(server: Command, run: RunCommand): void {
  const commands = () => import("./server.ts");
  server.addHelpText("after", examplesOf("server"));
  server
    .command("add <name> <url>")
    .description("prepare a PostgreSQL server (roles, database, tables) and place tenants on it")
    .option(
      "--weight <number>",
      "its share of new tenants, beside the others' weights",
      positive,
      1,
    )
    .addOption(directUrl())
    .action((name: string, url: string, options: { weight: number; directUrl?: string }) =>
      run(async (context) => (await commands()).addServer(context, name, url, options)),
    );
  server
    .command("list")
    .description("list the servers: whether each answers, and how many tenants it has")
    .action(() => run(async (context) => (await commands()).listServers(context)));
  server
    .command("update <server>")
    .description("change a server, by its name or id, on all running nodes")
    .option("--url <url>", "a new password, or where its databases have moved to; - reads it")
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
    .description("place no new tenants on it, and say who is left")
    .action((ref: string) => run(async (context) => (await commands()).drainServer(context, ref)));
  server
    .command("remove <server>")
    .description("forget a server that nobody is placed on")
    .option("--lost", "it never comes back: give up what deleted tenants have on it", false)
    .action((ref: string, options: { lost: boolean }) =>
      run(async (context) => (await commands()).removeServer(context, ref, options)),
    );
}

function addKeys(keys: Command, run: RunCommand): void {
  const commands = () => import("./keys.ts");
  keys.addHelpText("after", examplesOf("keys"));
  keys
    .command("list")
    .description("show the keys: which one signs, which still verify, which are retired")
    .action(() => run(async (context) => (await commands()).showKeys(context)));
  keys
    .command("rotate")
    .description("make a new key; it is published now, and signs ten minutes later")
    .option("--now", "it signs at once", false)
    .action(({ now }: { now: boolean }) =>
      run(async (context) => (await commands()).rotateSigningKeys(context, now)),
    );
  keys
    .command("retire <id>")
    // An id may begin with a hyphen.
    .allowUnknownOption()
    .description("refuse everything that this key has signed, on every node within a second")
    .action((id: string) =>
      run(async (context) => (await commands()).retireSigningKey(context, id)),
    );
}

function addAudit(audit: Command, run: RunCommand): void {
  audit.addHelpText("after", examplesOf("audit"));
  audit
    .command("verify")
    .description("say whether audit logs are as they were written, and if not, from which entry on")
    .addOption(new Option("--tenant <tenant>", "this tenant's").conflicts(["platform", "all"]))
    .addOption(new Option("--platform", "the platform's").conflicts("all"))
    .option("--all", "the platform's and all tenants' (the default)")
    .addOption(
      new Option(
        "--after <tenant>",
        "go on after this tenant, where an earlier run has ended",
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
    .option("--tenant <tenant>", "only this tenant's")
    .addOption(
      new Option("--state <state>", "only these; parked: failed too often").choices([
        "waiting",
        "running",
        "completed",
        "parked",
      ]),
    )
    .option("--job <name>", "only those of this name")
    .option("--limit <number>", "how many at most", positive, 100)
    .option("--before <id>", "go on after the job with this id")
    .action((options) => run(async (context) => (await commands()).listJobs(context, options)));
  jobs
    .command("retry <id...>")
    .description("try parked jobs again, at once and as often as at first")
    .action((ids: string[]) => run(async (context) => (await commands()).retryJobs(context, ids)));
  jobs
    .command("drop <id...>")
    .description("drop jobs; those that run are told to stop")
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
    .description("take back the last migrations of a placement, and the rows in what they made")
    .option("--steps <number>", "how many", positive, 1)
    .option("--feature <name>", "this feature's (default: those of the application's own features)")
    .option("--tenant <tenant>", "of the placement of this tenant, which must not be a shared one")
    .option("--all", "of every placement, the shared ones too", false)
    .option("--yes", "don't ask", false)
    .option("--in-production", "do it although APP_ENV is production", false)
    .action((options) =>
      run(async (context) => (await import("./migrate-down.ts")).migrateDown(context, options)),
    );
  migrate
    .command("status")
    .description("show what each placement has and lacks; changes nothing")
    .action(() =>
      run(async (context) => (await import("./migrate-status.ts")).migrateStatus(context)),
    );
  migrate
    .command("new <name>")
    .description("make the next numbered file of a feature, with a part to take it back")
    .option("--feature <name>", "the feature of the application that it belongs to")
    .option("--feature-dir <dir>", "the folder of one that has no migrations yet")
    .action((name: string, options: NewMigrationOptions) =>
      run(async (context) =>
        (await import("./migrate-new.ts")).newMigration(context, name, options),
      ),
    );
}

const directUrl = () =>
  new Option(
    "--direct-url <url>",
    "of PostgreSQL itself, where the other leads to a connection pooler",
  );

const registration = () =>
  new Option(
    "--registration <who>",
    "whether strangers may sign up as its users (default: open, in production closed)",
  ).choices(["open", "closed"]);

const wholeNumber = (min: number, max: number) => (text: string) => {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= min && number <= max)) {
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  }
  return number;
};

const workers = (text: string) => (text === "auto" ? text : wholeNumber(1, 256)(text));
const port = wholeNumber(0, 65_535);
const positive = wholeNumber(1, 10_000);
