/**
 * PostgreSQL servers of versions other than the embedded one, for `npm run postgresql-versions`.
 * They come from npm, from other versions of the embedded one's package. Debian's is used for its
 * own version if installed, because it supports JIT, which npm's does not.
 */
import { execFile, spawn } from "node:child_process";
import { chownSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import {
  type Binaries,
  findBinaries,
  serverEnvironment,
} from "../packages/insulae/src/embedded-postgres/binaries.ts";
import {
  chooseServerUser,
  type ServerUser,
} from "../packages/insulae/src/embedded-postgres/server-user.ts";
import { openClient } from "../packages/insulae/src/kernel/engine/connect.ts";
import { freePort } from "../packages/insulae/src/testing/free-port.ts";

const run = promisify(execFile);

export interface PostgresqlServer {
  /** Such as `PostgreSQL 15.18 (Debian 15.18-0+deb12u1)`. */
  readonly version: string;
  readonly compiles: boolean;
  /** The superuser's URL. */
  readonly url: string;
  stop(): Promise<void>;
}

const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;

/** @param folder a new one that the server's user can enter; the caller removes it */
export async function startPostgresql(
  packageVersion: string,
  folder: string,
): Promise<PostgresqlServer> {
  const cluster = join(folder, "cluster");
  mkdirSync(cluster, { mode: 0o700 });
  const user = chooseServerUser(folder, cluster);
  if (user) chownSync(cluster, user.uid, user.gid);
  const binaries = debian(packageVersion) ?? (await install(packageVersion, folder, user));
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, password);
  await run(
    binaries.initdb,
    ["-D", cluster, "-U", "superuser", "--pwfile", passwordFile, ...initOptions],
    { ...user, cwd: cluster, env: serverEnvironment },
  );
  const port = await freePort();
  const child = spawn(binaries.postgres, ["-D", cluster, ...settings(port)], {
    ...user,
    cwd: cluster,
    env: serverEnvironment,
    stdio: ["ignore", "ignore", "ignore"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const kill = () => void child.kill("SIGQUIT");
  process.once("exit", kill);
  const url = `postgres://superuser:${password}@127.0.0.1:${port}/postgres`;
  return {
    ...(await describe(url)),
    url,
    async stop() {
      process.removeListener("exit", kill);
      child.kill("SIGINT");
      await exited;
    },
  };
}

const password = "for-tests-only";
const initOptions = [
  ...["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"],
  ...["--no-instructions", "--no-sync"],
];

const settings = (port: number): readonly string[] =>
  Object.entries({
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: 300,
    fsync: "off",
    synchronous_commit: "off",
    // Tests count what is read of the catalogues.
    autovacuum: "off",
    full_page_writes: "off",
    // The server's default; no effect without JIT support.
    jit: "on",
  }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);

function debian(packageVersion: string): Binaries | undefined {
  const majorVersion = packageVersion.split(".")[0] ?? "";
  const root = `/usr/lib/postgresql/${majorVersion}`;
  if (!existsSync(join(root, "lib", "llvmjit.so"))) return undefined;
  const bin = (name: string) => join(root, "bin", name);
  return { postgres: bin("postgres"), initdb: bin("initdb"), majorVersion };
}

async function install(version: string, folder: string, user: ServerUser): Promise<Binaries> {
  await run("npm", [
    ...["install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund"],
    ...["--ignore-scripts", `${packageName}@${version}`],
  ]);
  return findBinaries(user, [folder], join(folder, "node_modules", packageName));
}

async function describe(url: string): Promise<{ version: string; compiles: boolean }> {
  const client = await keepConnecting(url);
  try {
    const { rows } = await client.query<{ version: string; compiles: boolean }>(
      `select 'PostgreSQL ' || current_setting('server_version') as version,
         pg_jit_available() as compiles`,
    );
    return rows[0] ?? { version: "?", compiles: false };
  } finally {
    await client.end();
  }
}

/** Connecting fails until the server is ready. */
async function keepConnecting(url: string): Promise<Awaited<ReturnType<typeof openClient>>> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openClient({ connectionString: url });
    } catch (error) {
      if (attempt >= 150) throw error;
      await sleep(200);
    }
  }
}
