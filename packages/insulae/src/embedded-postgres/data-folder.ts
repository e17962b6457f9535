/**
 * The supervisor's files below `DATA_DIR`:
 *
 *     postgres/cluster.json   the cluster's id and the administrator's password (0600)
 *     postgres/data/          the cluster itself
 *     postgres/run/           its Unix socket, if the path is short enough and reachable
 *     postgres/postgres.log   and postgres.log.1
 *
 * `postgres/` is created complete, by one rename: an interrupted start, or two concurrent ones,
 * leave either nothing or a whole cluster.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Binaries, serverEnvironment } from "./binaries.ts";
import { EmbeddedError, explainOutput, explainRunError, explainSystemError } from "./failure.ts";
import { chooseServerUser, pathForServer, type ServerUser } from "./server-user.ts";

export const administrator = "insulae_admin";

export interface DataFolder {
  readonly root: string;
  /** `root`/postgres/data */
  readonly cluster: string;
  readonly logFile: string;
  readonly user: ServerUser;
  readonly id: string;
  readonly password: string;
}

const workPrefix = "postgres.new-";

/** Creates the folder if missing, and decides which user runs the server in it. */
export function prepareFolder(dataDir: string): { root: string; user: ServerUser } {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const root = realpathSync(dataDir);
    return { root, user: chooseServerUser(root, join(root, "postgres", "data")) };
  } catch (error) {
    throw explainSystemError(error, "create the data folder", dataDir);
  }
}

/** Opens the cluster; creates one (`initdb`, about half a second) if there is none. */
export async function openCluster(
  root: string,
  user: ServerUser,
  binaries: Binaries,
  durable: boolean,
  note: (message: string) => void = () => {},
): Promise<DataFolder> {
  const home = join(root, "postgres");
  try {
    if (!existsSync(join(home, "cluster.json"))) {
      note(`Setting up PostgreSQL in ${home}: the first start takes a few seconds …`);
      await makeCluster(root, home, user, binaries, durable);
    }
    const { id, password } = JSON.parse(readFileSync(join(home, "cluster.json"), "utf8"));
    const cluster = join(home, "data");
    checkVersion(cluster, binaries.majorVersion);
    return { root, cluster, logFile: join(home, "postgres.log"), user, id, password };
  } catch (error) {
    throw explainSystemError(error, "use the data folder", root);
  }
}

function checkVersion(cluster: string, expected: string): void {
  const found = readFileSync(join(cluster, "PG_VERSION"), "utf8").trim();
  if (found === expected) return;
  throw new EmbeddedError(
    `The data in ${cluster} is from PostgreSQL ${found}; this is PostgreSQL ${expected}, which ` +
      `cannot read it. Export the data with the version of Insulae that created it, and import it here; ` +
      "or set DATA_DIR to a new folder.",
  );
}

async function makeCluster(
  root: string,
  home: string,
  user: ServerUser,
  binaries: Binaries,
  durable: boolean,
): Promise<void> {
  removeAbandoned(root);
  const work = mkdtempSync(join(root, workPrefix));
  try {
    const id = randomBytes(8).toString("hex");
    const password = randomBytes(24).toString("base64url");
    mkdirSync(join(work, "data"), { mode: 0o700 });
    writeSecret(join(work, "password"), password);
    writeSecret(join(work, "cluster.json"), JSON.stringify({ id, password }));
    giveTo(user, work, ...readdirSync(work).map((name) => join(work, name)));
    await initialise(binaries, join(work, "data"), user, durable);
    rmSync(join(work, "password"));
    moveInto(work, home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function writeSecret(path: string, content: string): void {
  writeFileSync(path, content, { mode: 0o600, flush: true });
}

/** Changes the owner of files created by root to the server's user. */
export function giveTo(user: ServerUser, ...paths: string[]): void {
  if (user !== undefined) for (const path of paths) chownSync(path, user.uid, user.gid);
}

async function initialise(
  binaries: Binaries,
  cluster: string,
  user: ServerUser,
  durable: boolean,
): Promise<void> {
  const path = pathForServer(user, cluster);
  // Sort by code point, upper and lower case for all of Unicode, independently of the locales of
  // system and user.
  const locale = ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"];
  await promisify(execFile)(
    binaries.initdb,
    [
      ...["-D", path, "-U", administrator, "--pwfile", `${path}/../password`],
      ...["--auth", "scram-sha-256", "--encoding", "UTF8", ...locale],
      ...["--no-instructions", ...(durable ? [] : ["--no-sync"])],
    ],
    { ...user, cwd: cluster, env: serverEnvironment },
  ).catch((error) => {
    if (typeof error.code !== "number") throw explainRunError(error, binaries.initdb);
    throw explainOutput("initdb", `${error.stdout}${error.stderr}`, cluster);
  });
}

function moveInto(work: string, home: string): void {
  try {
    renameSync(work, home);
  } catch (error) {
    // Another process has created one meanwhile: use that.
    if (existsSync(join(home, "cluster.json"))) return;
    throw new EmbeddedError(
      `${home} is not empty but contains no complete cluster. Move it away, and start again.`,
      { cause: error },
    );
  }
}

/** Removes leftovers of starts that were killed more than ten minutes ago. */
function removeAbandoned(root: string): void {
  for (const name of readdirSync(root).filter((entry) => entry.startsWith(workPrefix))) {
    const path = join(root, name);
    if (Date.now() - statSync(path).mtimeMs > 600_000) rmSync(path, { recursive: true });
  }
}
