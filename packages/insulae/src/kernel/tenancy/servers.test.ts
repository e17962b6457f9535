import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Embedded } from "../../embedded-postgres/supervisor.ts";
import { withDatabase } from "../../testing/test-database.ts";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import {
  makeServerFolder,
  type SecondServer,
  startSecondServer,
  startTestServer,
} from "../../testing/test-server.ts";
import { openClient } from "../engine/connect.ts";
import type { TenantId } from "../lib/ids.ts";
import { createSecrets } from "../lib/secrets.ts";
import { connectionConfig } from "./connection-config.ts";
import { rankServers } from "./servers.ts";

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

describe("the login", () => {
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

  test.each(["app", "control", "owner"] as const)("as %s does not use JIT compilation", (role) => {
    expect(config(role, "main").options).toMatch(/(^| )-c jit=off( |$)/);
  });

  test("as the app has its limits from the start", () => {
    expect(config("app", "main").options).toContain(
      "-c statement_timeout=1000 -c idle_in_transaction_session_timeout=2000 -c lock_timeout=3000",
    );
    expect(config("app", "main").options).toContain("-c search_path=data ");
  });

  test("uses TLS by the URL's sslmode, and a socket as its host", () => {
    expect(config("app", "main", "postgres://a:b@db/main?sslmode=disable").ssl).toBe(false);
    expect(config("app", "main", "postgres://a:b@db/main?sslmode=verify-full").ssl).toBeTruthy();
    expect(config("app", "main", "postgres://a:b@/main?host=/run/pg").host).toBe("/run/pg");
  });
});

describe("an additional server", () => {
  let installation: TestInstallation;
  let elsewhere: SecondServer;

  beforeAll(async () => {
    const notes = "create table notes (id uuid primary key); select app.tenant_table('notes');";
    installation = await createTestInstallation([await testFeature("notes", [notes])]);
    elsewhere = await startSecondServer();
  });
  afterAll(async () => {
    await installation.close();
    await elsewhere.stop();
  });

  /** As an earlier version left them. */
  const unmark = async () => {
    for (const url of [installation.url, withDatabase(elsewhere.url, installation.main.database)]) {
      const client = await openClient({ connectionString: url });
      await client.query("comment on schema app is null");
      await client.end();
    }
  };

  test("is prepared, stored with an encrypted URL, and used for tenants", async () => {
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
    expect(row.sealed_url).not.toContain(elsewhere.url);

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

  test("needs a valid, unique name and a working URL", async () => {
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

  test.each([
    ["as it is", () => undefined],
    ["as an earlier version left it", () => unmark()],
  ])("%s, is not mistaken for another listed one", async (_, leave) => {
    const { servers, url } = installation;
    await leave();
    for (const [name, at] of [
      ["main", url],
      ["second", elsewhere.url],
      ["second", `${elsewhere.url}&application_name=another`],
    ] as const) {
      await expect(servers.add({ name: "third", url: at })).rejects.toMatchObject({
        code: "server_exists",
        detail: expect.stringContaining(`the server ${name}`),
      });
    }
    await expect(servers.update("second", { url })).rejects.toMatchObject({
      code: "server_differs",
      detail: expect.stringContaining("the server main"),
    });
    expect((await servers.list()).map(({ name }) => name)).toEqual(["main", "second"]);
  });

  test("is added once by concurrent calls", async () => {
    const { servers } = installation;
    const other = await startSecondServer();
    try {
      const added = await Promise.allSettled(
        ["a", "b", "c"].map((name) => servers.add({ name, url: other.url })),
      );
      expect(added.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const each of added) {
        if (each.status === "rejected")
          expect(each.reason).toMatchObject({ code: "server_exists" });
        else await servers.remove(each.value.name);
      }
    } finally {
      await other.stop();
    }
  });

  test("is recognised where its data has moved to, and nowhere else", async () => {
    const { servers } = installation;
    const [from, to] = [makeServerFolder(), makeServerFolder()];
    const before = await startTestServer(from);
    let after: Embedded | undefined;
    try {
      await servers.add({ name: "moving", url: before.url });
      await before.stop();
      execFileSync("cp", ["-a", `${from}/.`, to]);
      after = await startTestServer(to);
      await expect(servers.add({ name: "moved", url: after.url })).rejects.toMatchObject({
        code: "server_exists",
        detail: expect.stringContaining("the server moving"),
      });
      await expect(servers.update("second", { url: after.url })).rejects.toMatchObject({
        code: "server_differs",
      });
      expect(await servers.update("moving", { url: after.url })).toMatchObject({ name: "moving" });
      await servers.remove("moving");
      await expect(servers.update("second", { url: after.url })).rejects.toMatchObject({
        code: "server_differs",
        detail: expect.stringContaining("not in the list"),
      });
      // An unused one can be added again.
      await servers.add({ name: "again", url: after.url });
      await servers.remove("again");
    } finally {
      await before.stop();
      await after?.stop();
      for (const folder of [from, to]) rmSync(folder, { recursive: true, force: true });
    }
  }, 60_000);

  test("is never found by another server's id, whatever its name", async () => {
    const { servers, control, main } = installation;
    const rename = (from: string, name: string) =>
      control.updateTable("control.servers").set({ name }).where("name", "=", from).execute();
    await rename("second", main.id);
    expect(await servers.get(main.id)).toMatchObject({ id: main.id, name: "main" });
    await rename(main.id, "second");
  });
});
