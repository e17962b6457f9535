/** A mover whose administrator is not a superuser. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Embedded } from "../../embedded-postgres/supervisor.ts";
import { moveTables, placementOfTenant, writeTo } from "../../testing/move-writer.ts";
import { contentOf, createMovingTenant, moverOf } from "../../testing/moving-tenants.ts";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import { startTestServer } from "../../testing/test-server.ts";
import { openClient } from "../engine/connect.ts";
import { createMoves } from "./moves.ts";

let folder: string;
let server: Embedded;
let installation: TestInstallation;

const asSuperuser = async (statement: string): Promise<void> => {
  const client = await openClient({ connectionString: server.url });
  await client.query(statement);
  await client.end();
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "insulae-modest-mover-"));
  server = await startTestServer(folder);
  await asSuperuser("create role modest login createrole createdb password 'modest'");
  await asSuperuser("create database modest_main owner modest");
  const url = new URL(server.url);
  url.username = "modest";
  url.password = "modest";
  url.pathname = "/modest_main";
  installation = await createTestInstallation(
    [await testFeature("movable", [moveTables])],
    url.href,
  );
});
afterAll(async () => {
  await installation?.close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

test("says which privilege it lacks, and moves the tenant once it is granted", async () => {
  const id = await createMovingTenant(installation, "pool", 100);
  const before = await contentOf(installation, id);
  const writer = await writeTo(installation, id, 1);
  const moves = createMoves(installation);
  const refused = await moves.start(id, { isolation: "database" });
  await moverOf(installation).run(refused.id);
  expect(await moves.get(refused.id)).toMatchObject({
    state: "aborted",
    error: expect.stringContaining("grant set on parameter session_replication_role"),
  });
  await asSuperuser("grant set on parameter session_replication_role to insulae_owner");
  for (const isolation of ["database", "schema", "pool"] as const) {
    const move = await moves.start(id, { isolation });
    await moverOf(installation).run(move.id);
    expect(await moves.get(move.id)).toMatchObject({ state: "kept", error: undefined });
    expect((await placementOfTenant(installation, id)).isolation).toBe(isolation);
    await moves.release(move.id);
    await moverOf(installation).run(move.id);
    expect(await moves.get(move.id)).toMatchObject({ state: "done" });
  }
  expect(await contentOf(installation, id)).toBe(before);
  await writer.stop();
});
