import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../testing/index.ts";
import { noteDeletion } from "../../engine/errors.ts";
import { defineError } from "../../lib/errors.ts";
import { databaseError } from "./database-errors.ts";

const emailTaken = defineError("email_taken", 409, "This e-mail is taken");
const constraints = new Map([
  ["people_email_key", emailTaken],
  ["people_email_key_2", emailTaken],
]);

describe("an error of PostgreSQL", () => {
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    database = await createTestDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(`
      create table people (
        id int primary key,
        email varchar(20) unique,
        name text not null default '',
        age int check (age > 0)
      );
      create table notes (note text constraint people_email_key_2 unique);
      create table pets (id int primary key, owner int references people);
      create table toys (id int primary key, pet int references pets on delete restrict);
      insert into people values (1, 'secret@example.com');
      insert into pets values (1, 1);
      insert into toys values (1, 1);
    `);
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  const errorOf = (sql: string, values: unknown[] = []) =>
    client.query(sql, values).then(
      () => undefined,
      (error: unknown) => {
        // As the engine does, whatever the server's language.
        if (error instanceof pg.DatabaseError) {
          noteDeletion(error, sql);
          error.message = "Dafür sagt der Server etwas in seiner Sprache";
        }
        return error;
      },
    );

  it.each<[string, number, string, unknown[]?]>([
    ["insert into people values (2, 'secret@example.com')", 409, "email_taken"],
    ["insert into people values (1)", 409, "conflict"],
    ["insert into pets values (2, 99)", 422, "reference_not_found"],
    ["delete from people where id = 1", 409, "still_referenced"],
    ["delete from pets where id = 1", 409, "still_referenced"],
    ["with gone as (delete from people returning id) select 1", 409, "still_referenced"],
    ["update pets set owner = 99", 422, "reference_not_found"],
    ["with gone as (delete from toys) insert into pets values (2, 99)", 422, "reference_not_found"],
    ["insert into people values (3, null, null)", 422, "value_refused"],
    ["insert into people values (3, null, '', -1)", 422, "value_refused"],
    ["insert into people values (3, 'a-very-long-address@example.com')", 400, "invalid_value"],
    ["select $1::uuid", 400, "invalid_value", ["x"]],
    ["select $1::timestamptz", 400, "invalid_value", ["2024-13-01"]],
    ["select $1::int", 400, "invalid_value", ["99999999999"]],
    ["select $1::timestamptz", 400, "invalid_value", ["2026-01-01T00:00:00+16:00"]],
    ["select $1::interval", 400, "invalid_value", ["a while"]],
    ["select 'a' ~ $1", 400, "invalid_value", ["("]],
    ["select 'a' like $1", 400, "invalid_value", ["\\"]],
    ["select $1::jsonb", 400, "invalid_value", ['{"a":"\\u0000"}']],
    ["select $1::inet", 400, "invalid_value", ["fe80::1%eth0"]],
    ["select 1 limit $1", 400, "invalid_value", ["-1"]],
    ["select 1 offset $1", 400, "invalid_value", ["-1"]],
    ["select chr($1::int)", 400, "value_too_large", ["2000000000"]],
    [
      "insert into notes select string_agg(sha512(i::text::bytea)::text, '') from generate_series(1, 90) i",
      400,
      "value_too_large",
    ],
    ["set statement_timeout = 20; select pg_sleep(5)", 503, "statement_timeout"],
  ])("with `%s` becomes %s %s, without any value or name", async (sql, status, code, values) => {
    const visible = databaseError(await errorOf(sql, values), constraints);
    await client.query("reset statement_timeout");
    expect([visible?.status, visible?.code]).toEqual([status, code]);
    expect(visible?.message).not.toMatch(/secret|people|pets|key|constraint/);
  });

  it.each(["select * from nowhere", "select 1 / 0", "selec", "set role nobody_at_all"])(
    "with `%s` is the server's fault",
    async (sql) => {
      expect(databaseError(await errorOf(sql), constraints)).toBeUndefined();
    },
  );

  it("that closed the connection tells the client to retry", async () => {
    const other = new pg.Client({ connectionString: database.url });
    other.on("error", () => {});
    await other.connect();
    const ended = other.query("select pg_terminate_backend(pg_backend_pid())").catch((e) => e);
    const visible = databaseError(await ended, constraints);
    expect([visible?.status, visible?.code]).toEqual([503, "database_unavailable"]);
    expect(visible?.headers).toHaveProperty("Retry-After");
    await other.end().catch(() => {});
  });

  it("is not mistaken for similar errors", () => {
    expect(
      databaseError(Object.assign(new Error("write"), { code: "EPIPE" }), constraints),
    ).toBeUndefined();
    expect(databaseError({ code: "23505" }, constraints)).toBeUndefined();
    expect(databaseError(undefined, constraints)).toBeUndefined();
  });
});
