import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../testing/test-database.ts";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import { createSecrets } from "../secrets.ts";
import { connectionConfig } from "./connection-config.ts";
import { rankServers } from "./servers.ts";
import type { TenantId } from "./tenant.ts";

const server = (name: string, tenants: number, weight = 1) => ({ name, tenants, weight });

describe("the next tenant goes to the server with the fewest tenants for its weight", () => {
  test.each([
    ["the fewest", [server("a", 2), server("b", 1)], "b"],
    ["for its weight", [server("a", 5, 10), server("b", 1)], "a"],
    ["the first by name of equal ones", [server("b", 2, 2), server("a", 1)], "a"],
    ["none", [], undefined],
  ])("%s", (_, servers, name) => {
    expect(rankServers(servers)[0]?.name).toBe(name);
  });
});

describe("how to log in", () => {
  const secrets = createSecrets("a master secret of more than 32 characters");
  const config = (
    role: "app" | "control" | "owner",
    database: string,
    url = "postgres://admin:pw@db:5433/main",
  ) =>
    connectionConfig({
      url,
      database,
      role,
      mainDatabase: "main",
      secrets,
      settings: { statementTimeoutMs: 1000, idleInTransactionTimeoutMs: 2000, lockTimeoutMs: 3000 },
    });

  test.each([
    ["app", "main", "insulae_app"],
    ["app", "t_1", "t_1"],
    ["control", "main", "insulae_control"],
    ["owner", "t_1", "admin"],
  ] as const)("as %s in %s it is %s", (role, database, user) => {
    const password = role === "owner" ? "pw" : secrets.rolePassword(user);
    expect(config(role, database)).toMatchObject({
      host: "db",
      port: 5433,
      database,
      user,
      password,
    });
  });

  test.each(["app", "control", "owner"] as const)("as %s nothing is compiled", (role) => {
    expect(config(role, "main").options).toMatch(/(^| )-c jit=off( |$)/);
  });

  test("the app's limits are given at start-up", () => {
    expect(config("app", "main").options).toContain(
      "-c statement_timeout=1000 -c idle_in_transaction_session_timeout=2000 -c lock_timeout=3000",
    );
    expect(config("app", "main").options).toContain("-c search_path=data ");
  });

  test("TLS is as the URL's sslmode says, a socket as its host", () => {
    expect(config("app", "main", "postgres://a:b@db/main?sslmode=disable").ssl).toBe(false);
    expect(config("app", "main", "postgres://a:b@db/main?sslmode=verify-full").ssl).toBeTruthy();
    expect(config("app", "main", "postgres://a:b@/main?host=/run/pg").host).toBe("/run/pg");
  });
});

describe("a further server", () => {
  let installation: TestInstallation;
  let elsewhere: TestDatabase;

  beforeAll(async () => {
    const notes = "create table notes (id uuid primary key); select app.tenant_table('notes');";
    installation = await createTestInstallation([await testFeature("notes", [notes])]);
    // Another database of the same cluster stands for another server: only its main database, which
    // has the same name on every server, is the same.
    elsewhere = await createTestDatabase();
  });
  afterAll(async () => {
    await installation.close();
    await elsewhere.drop();
  });

  // Shows S2-015, S3-063
  test("is prepared, kept with a sealed URL, and given tenants", async () => {
    const { servers, control, provisioning, main } = installation;
    const added = await servers.add({ name: "second", url: elsewhere.url, weight: 3 });
    expect(await servers.get("second")).toEqual(added);
    expect(added).toMatchObject({ weight: 3, accepting: true, tenants: 0 });
    const row = await control
      .selectFrom("control.servers")
      .select("sealed_url")
      .where("name", "=", "second")
      .executeTakeFirstOrThrow();
    expect(row.sealed_url).toMatch(/^v1\./);
    expect(row.sealed_url).not.toContain(elsewhere.name);

    const placement = await provisioning.place(randomUUID() as TenantId, {
      isolation: "pool",
      server: "second",
    });
    expect(placement).toMatchObject({
      serverId: added.id,
      database: main.database,
      schema: "data",
    });
    await servers.update("second", { accepting: false });
    expect(await servers.pick()).toEqual({ id: main.id });
  });

  test("needs a name and a URL that work, and a name of its own", async () => {
    const { servers } = installation;
    const { url } = elsewhere;
    await expect(servers.add({ name: "Second!", url })).rejects.toMatchObject({
      code: "server_name_invalid",
    });
    await expect(servers.add({ name: randomUUID(), url })).rejects.toMatchObject({
      code: "server_name_invalid",
    });
    await expect(servers.add({ name: "main", url })).rejects.toMatchObject({
      code: "server_exists",
    });
    const unreachable = "postgres://a:b@127.0.0.1:1/x";
    await expect(servers.add({ name: "gone", url: unreachable })).rejects.toMatchObject({
      code: "server_unusable",
      detail: expect.stringContaining("ECONNREFUSED"),
    });
    await expect(servers.get("gone")).rejects.toMatchObject({ code: "server_not_found" });
  });

  test("is never found by another one's id, whatever its name is", async () => {
    const { servers, control, main } = installation;
    const rename = (from: string, name: string) =>
      control.updateTable("control.servers").set({ name }).where("name", "=", from).execute();
    await rename("second", main.id);
    expect(await servers.get(main.id)).toMatchObject({ id: main.id, name: "main" });
    await rename(main.id, "second");
  });
});
