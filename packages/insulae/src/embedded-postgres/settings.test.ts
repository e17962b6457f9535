import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Embedded, startEmbedded } from "./supervisor.ts";

const dataDir = mkdtempSync(join(tmpdir(), "insulae-settings-"));
const locale = process.env.LANG;
let server: Embedded;
let connection: pg.Client;

beforeAll(async () => {
  process.env.LANG = process.env.LC_ALL = "xx_XX.UTF-8"; // a locale that does not exist
  process.env.PGDATA = "/nowhere";
  server = await startEmbedded({ dataDir });
  connection = new pg.Client({ connectionString: server.url });
  await connection.connect();
});
afterAll(async () => {
  await connection.end();
  await server.stop();
  rmSync(dataDir, { recursive: true });
});
afterAll(() => {
  delete process.env.LC_ALL;
  delete process.env.PGDATA;
  if (locale === undefined) delete process.env.LANG;
  else process.env.LANG = locale;
});

const first = async (sql: string) => (await connection.query(sql)).rows[0];

test("the server is durable, with checksums, and allows a hundred connections", async () => {
  const names = ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"];
  const { rows } = await connection.query("select setting from pg_settings where name = any($1)", [
    names,
  ]);
  expect(rows).toEqual(names.map(() => ({ setting: "on" })));
  expect(await first("show max_connections")).toEqual({ max_connections: "100" });
});

test("text is UTF-8, sorted by code point, with upper and lower case of every script", async () => {
  expect(await first("show server_encoding")).toEqual({ server_encoding: "UTF8" });
  expect(await first("select lower('ÄÉЖ') as lower, 'Z' < 'a' as sorted")).toEqual({
    lower: "äéж",
    sorted: true,
  });
});

test("it listens on no TCP port, and requires the password", async () => {
  expect(await first("show listen_addresses")).toEqual({ listen_addresses: "" });
  const url = new URL(server.url);
  url.password = "guessed";
  const stranger = new pg.Client({ connectionString: url.href });
  await expect(stranger.connect()).rejects.toThrow(/password authentication failed/);
  await stranger.end();
});

test("no value of a statement is logged", async () => {
  await connection.query("create temp table secrets (name text unique)");
  await connection.query("insert into secrets values ('planted')");
  await expect(connection.query("insert into secrets values ('planted')")).rejects.toThrow();
  await expect(connection.query("select 'planted'::uuid")).rejects.toThrow();
  const divided = connection.query("select $1::int / 0, $2::text", ["1", "planted"]);
  await expect(divided).rejects.toThrow();
  await expect(connection.query("select 'planted' from nowhere")).rejects.toThrow();
  const raised = connection.query("do $$ begin raise exception 'planted'; end $$");
  await expect(raised).rejects.toThrow();
  const log = readFileSync(join(dataDir, "postgres", "postgres.log"), "utf8");
  expect(log).toContain("ready to accept connections");
  expect(log).not.toContain("planted");
});

test("a port is listened on besides the socket, on the loopback address only", async () => {
  await connection.end();
  await server.stop();
  const port = 20_000 + (process.pid % 10_000);
  server = await startEmbedded({ dataDir, port });
  const overTcp = new URL(server.url);
  overTcp.hostname = "127.0.0.1";
  connection = new pg.Client({ connectionString: overTcp.href });
  await connection.connect();
  expect(await first("show listen_addresses")).toEqual({ listen_addresses: "127.0.0.1" });
});
