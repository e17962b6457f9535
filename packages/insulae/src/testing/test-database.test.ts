import pg from "pg";
import { expect, test } from "vitest";
import { createTestDatabase, type TestTemplate } from "./test-database.ts";

async function run(url: string, sql: string): Promise<unknown[]> {
  const connection = new pg.Client({ connectionString: url });
  await connection.connect();
  try {
    return (await connection.query(sql)).rows;
  } finally {
    await connection.end();
  }
}

test("a template is prepared once, and clones are independent", async () => {
  let prepared = 0;
  const template: TestTemplate = {
    key: `once ${process.pid} ${Date.now()}`,
    prepare: async (url) => {
      prepared += 1;
      await run(url, "create table notes (text text)");
    },
  };
  const [one, two] = await Promise.all([
    createTestDatabase(template),
    createTestDatabase(template),
  ]);
  await run(one.url, "insert into notes values ('mine')");
  expect(await run(one.url, "select text from notes")).toEqual([{ text: "mine" }]);
  expect(await run(two.url, "select text from notes")).toEqual([]);
  expect(prepared).toBe(1);
  await Promise.all([one.drop(), two.drop()]);
});

test("a template whose preparation fails is not used", async () => {
  const key = `fails ${process.pid} ${Date.now()}`;
  const broken = { key, prepare: () => Promise.reject(new Error("no such table")) };
  await expect(createTestDatabase(broken)).rejects.toThrow("no such table");
  const prepare = (url: string) => run(url, "create table notes ()").then(() => {});
  const database = await createTestDatabase({ key, prepare });
  expect(await run(database.url, "select * from notes")).toEqual([]);
  await database.drop();
});

test("an open connection is reported when the database is dropped", async () => {
  const database = await createTestDatabase();
  const leaked = new pg.Client({ connectionString: database.url, application_name: "forgetful" });
  leaked.on("error", () => {}); // it is disconnected below
  await leaked.connect();
  await expect(database.drop()).rejects.toThrow(/1 connections .* forgetful/);
});
