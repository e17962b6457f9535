/**
 * The roles a connection may log in as.
 *
 * - `app`: the data plane. In the main database of a server the login is `insulae_app`; in a tenant's
 *   own database it is a role with the database's name, which can connect to no other database.
 * - `control`: the control plane, `insulae_control`.
 * - `listener`: as `control`, and for LISTEN: a session that no pooler may share.
 * - `owner`: migrates and provisions; only the kernel uses it. The login is the server's administrator
 *   (whoever DATABASE_URL names), since only it may create databases and roles. What is done to
 *   tables is done after `set local role insulae_owner`, inside a transaction, so the role is the
 *   administrator's again when the transaction ends, however it ends: such a connection can be
 *   given back and used by the next.
 */
export type DatabaseRole = "app" | "control" | "listener" | "owner";

/** What a connection is connected to. Connections with equal targets are interchangeable. */
export interface Target {
  readonly serverId: string;
  readonly database: string;
  readonly role: DatabaseRole;
}

export const targetKey = (target: Target): string =>
  `${target.serverId}/${target.database}/${target.role}`;
