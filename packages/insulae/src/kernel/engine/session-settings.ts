/**
 * What a new connection has to be like. It asks for its settings at start-up (`options`); a pooler in
 * between may drop those, and then names are looked up in another schema, times are in another zone, and
 * nothing ends a statement. So each new connection is asked what it got: one round trip, a few percent of
 * what a log-in takes.
 */
import type { Client, ClientConfig } from "pg";

/** By name; numbers are milliseconds. */
export type SessionSettings = Readonly<Record<string, string | number>>;

export interface ConnectionConfig extends ClientConfig {
  readonly expected?: ExpectedSettings;
}

export interface ExpectedSettings {
  readonly settings: SessionSettings;
  /** They are the role's: there is a pooler in between, which takes none at start-up. */
  readonly byRole: boolean;
  /**
   * Whether time limits are as asked for, or only there. A process that starts insists; one that runs goes
   * on while another one, with another configuration, gives the role other limits.
   */
  readonly exact: boolean;
}

/** What is between Insulae and PostgreSQL can't be worked with; the message says what to do. */
export class ConnectionUnfit extends Error {
  override readonly name = "ConnectionUnfit";
}

/** In `options` of the start-up packet. */
export const startUpOptions = (settings: SessionSettings): string =>
  Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(" ");

/** @throws ConnectionUnfit if the connection doesn't have the settings that were asked for. */
export async function checkSettings(client: Client, expected: ExpectedSettings): Promise<void> {
  const { rows } = await client.query<{ name: string; value: string }>(
    `select name, case
       when name like '%_timeout'
         then (extract(epoch from current_setting(name)::interval) * 1000)::bigint::text
       else current_setting(name)
     end as value
     from unnest($1::text[]) name`,
    [Object.keys(expected.settings)],
  );
  const found = new Map(rows.map(({ name, value }) => [name, value]));
  const differing = Object.entries(expected.settings).flatMap(([name, wanted]) => {
    const got = found.get(name);
    const same =
      typeof wanted === "number" && !expected.exact
        ? Number(got) > 0 === wanted > 0
        : got === String(wanted);
    return same ? [] : [`${name} is ${got || "empty"} instead of ${wanted}`];
  });
  if (differing.length === 0) return;
  const what = `The connection of ${client.user ?? "the administrator"} lacks its settings: ${differing.join(", ")}.`;
  throw new ConnectionUnfit(`${what} ${expected.byRole ? remedyOfRole : remedyOfOptions}`);
}

/** Ends the errors of connecting that are a pooler's with what to do. */
export const explained = (error: unknown): unknown =>
  error instanceof Error && error.message.includes("unsupported startup parameter")
    ? new ConnectionUnfit(
        `The connection pooler refuses the settings of a connection (${error.message}). ${remedyOfOptions}`,
        { cause: error },
      )
    : error;

const remedyOfOptions =
  "If a connection pooler (PgBouncer) is between Insulae and PostgreSQL, leave it in DATABASE_URL and set DATABASE_DIRECT_URL to PostgreSQL itself: see docs/poolers.md.";
const remedyOfRole =
  "Run `insulae migrate up`, which gives the roles the settings of this configuration, then have the pooler reconnect (PgBouncer: RECONNECT).";
