import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Embedded } from "../embedded-postgres/supervisor.ts";
import { openClient } from "../kernel/engine/connect.ts";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../testing/test-installation.ts";
import { startTestServer } from "../testing/test-server.ts";
import { isProven, proveTables } from "./prove.ts";

// A separate server, because its roles are created here.
let folder: string;
let server: Embedded;
let installation: TestInstallation;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "insulae-prove-"));
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
  await installation?.close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

test("an administrator who is not a superuser can prove an application's own tables", async () => {
  const proof = await proveTables(installation);
  expect(proof.tables).toBe(1);
  expect(isProven(proof)).toBe(true);
});
