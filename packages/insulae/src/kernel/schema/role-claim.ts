/**
 * Protects a server's roles from a second installation. `insulae_app`, `insulae_control` and the
 * others belong to the whole server, and their passwords derive from the master secret: a second
 * installation that set them would lock out the first. So `insulae_app` has a mark, a comment:
 *
 *     Insulae of <database>, <fingerprint of the master secret>
 *
 * and an installation with another master secret is refused unless nobody uses the roles any more.
 * Roles without a mark are from an earlier version: they are ours if our password works. If the
 * refusal is wrong, for example after a restore without passwords, the administrator replaces the
 * mark by `unclaimed`.
 */
import { randomBytes, scryptSync } from "node:crypto";
import pg from "pg";
import { openClient } from "../engine/connect.ts";
import { defineError } from "../lib/errors.ts";
import type { Secrets } from "../lib/secrets.ts";

export const rolesTaken = defineError(
  "roles_taken",
  409,
  "The roles of this PostgreSQL server belong to another installation or another MASTER_SECRET. Use the right MASTER_SECRET, or a server of its own.",
);

const appRole = "insulae_app";
const unclaimed = "unclaimed";

/**
 * Marks the roles, just created or verified, as this installation's.
 *
 * @param client the administrator, in a transaction
 */
export async function claimRoles(client: pg.ClientBase, mark: string): Promise<void> {
  await client.query(`comment on role ${appRole} is ${pg.escapeLiteral(mark)}`);
}

/**
 * The mark to set; undefined if it is set already.
 *
 * @param client the administrator, in the installation's database
 * @throws AppError 409 `roles_taken`; then nothing was changed
 */
export async function markToSet(client: pg.Client, secrets: Secrets): Promise<string | undefined> {
  const { rows } = await client.query<Claim>(claimQuery, [appRole]);
  const [claim] = rows;
  const fingerprint = fingerprintOf(secrets);
  const mark = `Insulae of ${claim?.current}, ${fingerprint}`;
  if (!claim?.exists || claim.mark === unclaimed) return mark;
  if (claim.mark === null) {
    if (claim.users.length === 0 || (await isOurs(client, claim, secrets))) return mark;
    throw refusal(claim.users);
  }
  const [, database, found] = /^Insulae of (.*), ([0-9a-f]+)$/s.exec(claim.mark) ?? [];
  if (found === fingerprint) return undefined;
  // This database may not have granted access yet.
  const left =
    claim.users.length === 0 &&
    (database === claim.current || !claim.databases.includes(database ?? ""));
  if (left && database !== undefined) return mark;
  throw refusal(claim.users.length > 0 ? claim.users : [database ?? claim.mark]);
}

interface Claim {
  readonly current: string;
  readonly exists: boolean;
  readonly mark: string | null;
  readonly databases: readonly string[];
  /** The databases that the role can connect to, this one first. */
  readonly users: readonly string[];
}

const claimQuery = `
  select current_database() as current, to_regrole($1) is not null as exists,
    shobj_description(to_regrole($1), 'pg_authid') as mark,
    array(select datname::text from pg_database) as databases,
    array(
      select datname::text
      from pg_database
      where exists (
        select from aclexplode(datacl) acl
        where acl.grantee = to_regrole($1) and acl.privilege_type = 'CONNECT')
      order by datname <> current_database(), datname
    ) as users`;

function refusal(users: readonly string[]) {
  const detail =
    `The roles insulae_app and insulae_control of this PostgreSQL server are used by another installation ` +
    `(${users.slice(0, 3).join(", ")}), or by this one with another MASTER_SECRET. Their passwords come from ` +
    "the MASTER_SECRET, so nothing was changed. Set the MASTER_SECRET with which they were made, or use " +
    "another server. If nobody needs them any more, run as the administrator: " +
    `comment on role ${appRole} is '${unclaimed}'`;
  return rolesTaken({ detail });
}

/**
 * Every role of the server, including tenants' logins, can read the mark. The slow hash protects
 * weak master secrets against guessing.
 */
const fingerprintOf = (secrets: Secrets): string =>
  scryptSync(secrets.derive("role-mark", 32), "insulae", 8, {
    N: 2 ** 15,
    maxmem: 2 ** 26,
  }).toString("hex");

/** Whether our password, and not just any, opens the role. */
async function isOurs(client: pg.Client, { current, users }: Claim, secrets: Secrets) {
  const [database = current] = users;
  if (!(await opens(client, database, secrets.rolePassword(appRole)))) return false;
  // If the server accepts any password, the roles are ours only if no other database uses them.
  const proves = !(await opens(client, database, randomBytes(16).toString("hex")));
  return proves || users.every((name) => name === current);
}

/** SQLSTATEs of a refused log-in. */
const refused = new Set(["28P01", "28000"]);

async function opens(client: pg.Client, database: string, password: string): Promise<boolean> {
  const { host, port, ssl } = client;
  try {
    const other = await openClient({
      ...{ host, port, ssl, database, password, user: appRole },
      application_name: "insulae owner",
    });
    await other.end();
    return true;
  } catch (error) {
    if (error instanceof pg.DatabaseError && refused.has(error.code ?? "")) return false;
    throw error;
  }
}
