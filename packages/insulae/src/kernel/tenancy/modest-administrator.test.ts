import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Embedded } from "../../embedded-postgres/supervisor.ts";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import { startTestServer } from "../../testing/test-server.ts";
import { openClient } from "../engine/connect.ts";
import type { TenantId } from "../lib/ids.ts";
import { isolations } from "../model/tenant.ts";
import { prepareServer } from "../schema/roles.ts";

// A separate server, because its roles are created and changed here.
let folder: string;
let server: Embedded;
let installation: TestInstallation;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "insulae-modest-"));
  server = await startTestServer(folder);
  const superuser = await openClient({ connectionString: server.url });
  await superuser.query("create role modest login createrole createdb password 'modest'");
  await superuser.query("create database modest_main owner modest");
  await superuser.end();

  const url = new URL(server.url);
  url.username = "modest";
  url.password = "modest";
  url.pathname = "/modest_main";
  const notes = "create table notes (id uuid primary key); select app.tenant_table('notes');";
  installation = await createTestInstallation([await testFeature("notes", [notes])], url.href);
});
afterAll(async () => {
  await installation.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

test.each(isolations)(
  "an administrator with CREATEROLE and CREATEDB, but not a superuser, can create and retire a %s",
  async (isolation) => {
    const { provisioning, open } = installation;
    const placement = await provisioning.place(randomUUID() as TenantId, { isolation });
    const client = await open("app", placement.database);
    expect((await client.query("select count(*)::int from notes")).rows).toEqual([{ count: 0 }]);
    if (isolation === "database") {
      // The tenant's sessions end with its database.
      const ended = new Promise((resolve) => client.once("end", resolve));
      await provisioning.retire(placement);
      await ended;
    } else await provisioning.retire(placement);
  },
);

test("a role with excess privileges is corrected", async () => {
  const superuser = await openClient({ connectionString: server.url });
  await superuser.query("alter role insulae_control bypassrls createdb");
  await prepareServer(superuser, installation.secrets);
  const { rows } = await superuser.query(
    "select rolbypassrls, rolcreatedb from pg_roles where rolname = 'insulae_control'",
  );
  expect(rows).toEqual([{ rolbypassrls: false, rolcreatedb: false }]);
  await superuser.end();
});
