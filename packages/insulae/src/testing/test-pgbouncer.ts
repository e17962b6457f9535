/**
 * A real PgBouncer in front of a test's own PostgreSQL, configured as in docs/poolers.md. Without
 * one on the machine, the tests that need it are skipped; with `INSULAE_TEST_PGBOUNCER=required`
 * (as in CI) they fail.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import { freePort } from "./free-port.ts";
import { describeWith, findPrograms } from "./left-out.ts";
import { until } from "./until.ts";

export interface TestPgBouncer {
  /** The server's database through PgBouncer. */
  readonly url: string;
  stop(): Promise<void>;
}

/** The first version that supports prepared statements in transaction mode. */
const withStatements = 1.21;

const versionOf = (binary: string): number =>
  Number(
    /PgBouncer (\d+\.\d+)/.exec(execFileSync(binary, ["--version"], { encoding: "utf8" }))?.[1],
  );

const findPgBouncer = (fits: (version: number) => boolean): string | undefined =>
  findPrograms("pgbouncer").find((path) => fits(versionOf(path)));

const recent = () => findPgBouncer((version) => version >= withStatements);
const old = () => findPgBouncer((version) => version < withStatements);

export const describeWithPgBouncer = describeWith({
  name: "PgBouncer 1.21 or later",
  variable: "INSULAE_TEST_PGBOUNCER",
  find: recent,
});

/**
 * Debian 12 has a version that is too old for transaction mode. Not required, because newer systems
 * have later ones.
 */
export const describeWithOldPgBouncer = describeWith({
  name: "PgBouncer before 1.21",
  variable: "INSULAE_TEST_OLD_PGBOUNCER",
  find: old,
});

const page = readFileSync(new URL("../../../../docs/poolers.md", import.meta.url), "utf8");
const blockOf = (language: string): string =>
  new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "s").exec(page)?.[1] ?? "";

/** Runs the statements that docs/poolers.md lists for PostgreSQL. */
export async function prepareForPgBouncer(administratorUrl: string): Promise<void> {
  const [before = "", after = ""] = blockOf("sql").split("\\connect pgbouncer_auth\n");
  const client = new pg.Client({ connectionString: administratorUrl });
  await client.connect();
  // CREATE DATABASE can't run in a transaction, and several statements in one message are one.
  for (const statement of before.split(";\n").filter((each) => each.trim() !== "")) {
    await client.query(statement);
  }
  await client.end();
  const there = new pg.Client({
    ...parseIntoClientConfig(administratorUrl),
    database: "pgbouncer_auth",
  });
  await there.connect();
  await there.query(after);
  await there.end();
}

export interface PgBouncerOptions {
  /** Override the page's settings; undefined removes one. */
  readonly settings?: Readonly<Record<string, string | number | undefined>>;
  readonly isOld?: boolean;
  /** List all current logins, including the administrator's, instead of looking them up. */
  readonly knowsAll?: boolean;
}

export async function startPgBouncer(
  administratorUrl: string,
  { settings = {}, isOld = false, knowsAll = false }: PgBouncerOptions = {},
): Promise<TestPgBouncer> {
  const binary = isOld ? old() : recent();
  if (!binary) throw new Error("There is no such PgBouncer on the PATH");
  const { host = "", port, database } = parseIntoClientConfig(administratorUrl);
  const folder = mkdtempSync(join(tmpdir(), "insulae-pgbouncer-"));
  const own = await freePort();
  const users = join(folder, "userlist.txt");
  const file = join(folder, "pgbouncer.ini");
  const lookUp = { auth_user: undefined, auth_dbname: undefined, auth_query: undefined };
  const given = {
    ...(knowsAll && lookUp),
    listen_addr: "127.0.0.1",
    listen_port: own,
    auth_file: users,
    ...settings,
  };
  let text = blockOf("ini").replace(/host=\S+ port=\d+/, `host=${host} port=${port}`);
  for (const [name, value] of Object.entries({ ...given, unix_socket_dir: "" })) {
    text = text.replace(new RegExp(`^${name} =.*\\n`, "m"), "");
    if (value !== undefined) text += `${name} = ${value}\n`;
  }
  writeFileSync(file, text);
  writeFileSync(users, knowsAll ? await verifiers(administratorUrl) : blockLine());
  // It refuses to run as root and must reach the server's socket, so use the server's user.
  const { uid, gid } = statSync(host.startsWith("/") ? host : folder);
  for (const path of [folder, file, users]) chownSync(path, uid, gid);
  chmodSync(folder, 0o755);
  const program = spawn(binary, [file], { stdio: ["ignore", "ignore", "pipe"], uid, gid });
  let said = "";
  program.stderr.on("data", (bytes) => {
    said += bytes;
  });
  const kill = () => void program.kill("SIGKILL");
  process.once("exit", kill);
  await until(
    () => `PgBouncer answers:\n${said}`,
    () => {
      if (program.exitCode !== null) throw new Error(`PgBouncer did not start:\n${said}`);
      return answers(own);
    },
  );
  return {
    url: `postgresql://127.0.0.1:${own}/${database}`,
    async stop() {
      process.off("exit", kill);
      const ended = once(program, "exit");
      program.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const blockLine = () => `${/`("pgbouncer" "[^"]+")`/.exec(page)?.[1]}\n`;

async function verifiers(administratorUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: administratorUrl });
  await client.connect();
  const { rows } = await client.query<{ line: string }>(
    `select format('"%s" "%s"', rolname, rolpassword) as line from pg_authid
     where rolpassword is not null`,
  );
  await client.end();
  return rows.map(({ line }) => `${line}\n`).join("");
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
