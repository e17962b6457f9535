/** TLS to PostgreSQL, with a real server that speaks it: `sslmode=verify-full` keeps its word. */

import { chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createApp } from "../src/app/app.ts";
import { type Embedded, startEmbedded } from "../src/embedded-postgres/supervisor.ts";
import { openClient } from "../src/kernel/engine/connect.ts";
import { freePort } from "../src/testing/free-port.ts";
import { makeCertificate } from "../src/testing/test-certificates.ts";
import { testMasterSecret } from "../src/testing/test-secret.ts";

let folder: string;
let server: Embedded;
let superuser: pg.Client;
let port: number;

const file = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "insulae-database-tls-"));
  port = await freePort();
  server = await startEmbedded({ dataDir: folder, port, durable: false });
  superuser = await openClient({ connectionString: server.url });

  const [authority, stranger] = await Promise.all(
    ["CN=authority", "CN=stranger"].map((subject) => makeCertificate({ subject, authority: true })),
  );
  if (!authority || !stranger) throw new Error("no authorities");
  const { cert, key } = await makeCertificate({ hosts: ["localhost"], issuer: authority });
  writeFileSync(file("authority.pem"), authority.cert);
  writeFileSync(file("stranger.pem"), stranger.cert);
  // The server wants its key for itself.
  const cluster = join(folder, "postgres", "data");
  const { uid, gid } = statSync(cluster);
  for (const [name, text] of Object.entries({ "server.crt": cert, "server.key": key })) {
    writeFileSync(join(cluster, name), text, { mode: 0o600 });
    chownSync(join(cluster, name), uid, gid);
  }
  await superuser.query("alter system set ssl to on");
  await superuser.query("select pg_reload_conf()");
});
afterAll(async () => {
  await superuser.end();
  await server.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

function urlOf(host: string, options: Readonly<Record<string, string>>): string {
  const { username, password, pathname } = new URL(server.url);
  const query = new URLSearchParams(options);
  return `postgresql://${username}:${password}@${host}:${port}${pathname}?${query}`;
}

const open = (databaseUrl: string) =>
  createApp({
    env: {},
    config: {
      env: "test",
      port: 0,
      databaseUrl,
      databaseConnections: 10,
      masterSecret: testMasterSecret,
      logLevel: "silent",
      dataDir: file("files"),
    },
  });

test("every connection of every role is encrypted, also to a tenant's own database", async () => {
  const url = urlOf("localhost", { sslmode: "verify-full", sslrootcert: file("authority.pem") });
  const app = await open(url);
  try {
    const tenant = await app.tenants.create({ key: "acme", name: "Acme", isolation: "database" });
    await app.withTenant(tenant, async ({ db }) => {
      await db.query("select count(*) from contacts");
      await db.transaction().execute(async (tx) => {
        await sql`select count(*) from contacts`.execute(tx);
      });
    });
    const { rows } = await superuser.query<{ ssl: boolean; role: string }>(
      `select distinct s.ssl, split_part(a.application_name, ' ', 2) as role
       from pg_stat_ssl s join pg_stat_activity a using (pid)
       where a.application_name like 'insulae %' order by role`,
    );
    expect(rows).toEqual(expect.arrayContaining([{ ssl: true, role: "app" }]));
    expect(rows).toEqual(expect.arrayContaining([{ ssl: true, role: "control" }]));
    expect(rows.filter(({ ssl }) => !ssl)).toEqual([]);
  } finally {
    await app.close();
  }
});

test.each([
  [
    "a certificate of another authority",
    "localhost",
    "stranger.pem",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  ],
  [
    "a certificate of an authority that nobody named",
    "localhost",
    undefined,
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  ],
  ["a certificate for another host", "127.0.0.1", "authority.pem", "ERR_TLS_CERT_ALTNAME_INVALID"],
])("%s is refused", async (_, host, authority, code) => {
  const root = authority === undefined ? {} : { sslrootcert: file(authority) };
  const url = urlOf(host, { sslmode: "verify-full", ...root });
  await expect(open(url)).rejects.toMatchObject({ code });
});
