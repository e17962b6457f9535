/**
 * What a leaked password of one tenant's database allows on the server: nothing that prevents
 * others from starting, and nothing that outlives the tenant.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Embedded } from "../../embedded-postgres/supervisor.ts";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import { startTestServer } from "../../testing/test-server.ts";
import { openClient } from "../engine/connect.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Placement } from "../model/tenant.ts";
import { findIsolationProblems, findLoginProblems } from "../schema/isolation-check.ts";
import { bootMainServer } from "../tenancy/prepare.ts";

// A separate server, because the privileges on its databases are changed here.
let folder: string;
let server: Embedded;
let installation: TestInstallation;
let superuser: pg.Client;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "insulae-logins-"));
  server = await startTestServer(folder);
  superuser = await openClient({ connectionString: server.url, database: "postgres" });
  await superuser.query("create database logins_main");
  const url = new URL(server.url);
  url.pathname = "/logins_main";
  const notes = "create table notes (id uuid primary key); select app.tenant_table('notes');";
  installation = await createTestInstallation([await testFeature("notes", [notes])], url.href);
});
afterAll(async () => {
  await superuser?.end();
  await installation?.close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

const place = (): Promise<Placement> =>
  installation.provisioning.place(randomUUID() as TenantId, { isolation: "database" });

/** Runs as the tenant's login. */
const connectAs = ({ database: login }: Placement, database: string) => {
  const url = new URL(server.url);
  url.pathname = `/${database}`;
  url.username = login;
  url.password = installation.secrets.rolePassword(login);
  return openClient({ connectionString: url.href });
};

const restart = async (said: unknown[] = []) => {
  const log = { info() {}, warn: (...line: unknown[]) => void said.push(line) } as never;
  return bootMainServer({ ...installation, log });
};

test.each(["postgres", "template1", "logins_main"])(
  "a tenant database's login can't connect to %s",
  async (database) => {
    const placement = await place();
    await expect(connectAs(placement, database)).rejects.toThrow("permission denied for database");
    await (await connectAs(placement, placement.database)).end();
  },
);

describe("a login that was allowed into another database", () => {
  let placement: Placement;
  beforeAll(async () => {
    placement = await place();
    // As on a server whose administrator may not revoke it.
    await superuser.query("grant connect on database postgres to public");
    const login = await connectAs(placement, "postgres");
    await login.query("select lo_from_bytea(0, 'x')");
    await login.end();
  });

  test("and owns something there does not prevent the start, and is reported", async () => {
    const said: unknown[] = [];
    await restart(said);
    expect(said).toEqual([
      [
        { login: placement.database },
        expect.stringContaining("owns 1 objects in the database postgres"),
      ],
    ]);
    // The start has revoked it again.
    await expect(connectAs(placement, "postgres")).rejects.toThrow("permission denied");
  });

  test("is dropped with the tenant, and so is what it owns", async () => {
    await installation.provisioning.retire(placement);
    const { rows } = await superuser.query(
      `select rolname from pg_roles where rolname = $1
       union all select 'a large object' from pg_largeobject_metadata`,
      [placement.database],
    );
    expect(rows).toEqual([]);
  });
});

test("a login with a member does not prevent the start, and is reported", async () => {
  const [one, other] = [await place(), await place()];
  // What a login of PostgreSQL 15 may do itself.
  await superuser.query(`grant "${one.database}" to "${other.database}"`);
  const owner = await installation.open("owner");
  await owner.query("set role insulae_owner");
  expect(await findLoginProblems(owner)).toEqual([
    { login: one.database, problem: `has the member ${other.database}` },
  ]);
  expect(await findIsolationProblems(owner)).toEqual([]);
  await restart();
  await installation.provisioning.retire(one);
  await installation.provisioning.retire(other);
});

test("a login with excess privileges from an administrator prevents the start", async () => {
  const placement = await place();
  await superuser.query(`alter role "${placement.database}" bypassrls`);
  await expect(restart()).rejects.toThrow("exempt from Row-Level Security");
  await superuser.query(`alter role "${placement.database}" nobypassrls`);
  await superuser.query(`grant pg_read_all_data to "${placement.database}"`);
  await expect(restart()).rejects.toThrow("is a member of pg_read_all_data");
  await superuser.query(`revoke pg_read_all_data from "${placement.database}"`);
  await restart();
});
