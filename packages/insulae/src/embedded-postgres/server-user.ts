/**
 * PostgreSQL refuses to run as root. A supervisor running as root (in a container, under sudo)
 * therefore runs it as another user: the owner of the data folder if that is not root, otherwise
 * the system's `postgres`, otherwise `nobody`. That user often can't traverse the path to the data
 * folder (`/root` is 0700). On Linux that is no obstacle: the supervisor enters the folder as root,
 * and the server uses `/proc/self/cwd`, which needs no permission on parent folders.
 */
import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { EmbeddedError } from "./failure.ts";

/** The user to run the server as; undefined: the current one. */
export type ServerUser = { readonly uid: number; readonly gid: number } | undefined;

/**
 * @param root the data folder
 * @param cluster the cluster in it; if it exists, its owner has to run it
 */
export function chooseServerUser(root: string, cluster: string): ServerUser {
  if (process.geteuid?.() !== 0) return undefined;
  const found = statSync(cluster, { throwIfNoEntry: false });
  if (found !== undefined && found.uid !== 0) return { uid: found.uid, gid: found.gid };
  // `initdb` requires that its user has a name.
  const users = readUsers();
  const owner = statSync(root).uid;
  const wanted = [
    users.find((user) => user.uid === owner),
    ...["postgres", "_postgres", "nobody"].map((name) => users.find((user) => user.name === name)),
  ];
  const user = wanted.find((candidate) => candidate !== undefined);
  if (user !== undefined) return { uid: user.uid, gid: user.gid };
  throw new EmbeddedError(
    "PostgreSQL cannot run as root, and neither of the users postgres and nobody exists. " +
      "Create one of them, run as another user, or set DATABASE_URL to a PostgreSQL of your own.",
  );
}

function readUsers(): { name: string; uid: number; gid: number }[] {
  try {
    return readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .map((line) => line.split(":"))
      .filter((fields) => fields.length >= 4)
      .map(([name = "", , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
      .filter((user) => user.uid > 0 && user.gid > 0);
  } catch {
    return [];
  }
}

/** Whether the user can traverse the path (ignoring ACLs). */
export function canReach(user: ServerUser, path: string): boolean {
  if (user === undefined) return true;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const { uid, gid, mode } = statSync(folder);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** The data folder's path for the server, which is started inside it. */
export function pathForServer(user: ServerUser, folder: string): string {
  if (canReach(user, folder)) return folder;
  if (process.platform === "linux") return "/proc/self/cwd";
  throw new EmbeddedError(
    `PostgreSQL cannot run as root, and no other user can reach ${folder}. Set DATA_DIR to a folder ` +
      "below folders that everybody may enter, or run as another user.",
  );
}
