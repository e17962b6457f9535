/**
 * Violations of the isolation, as data: each is applied to a sound database, detected, and
 * reverted.
 */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import { bootCheck, findIsolationProblems, IsolationError } from "./isolation-check.ts";

let installation: TestInstallation;
let administrator: pg.Client;

beforeAll(async () => {
  const feature = await testFeature("notes", [
    `create table notes (id uuid primary key default app.uuid_v7(), number serial, text text);
     select app.tenant_table('notes');
     create view all_notes with (security_invoker = true) as select * from notes;`,
  ]);
  installation = await createTestInstallation([feature]);
  administrator = await installation.open("owner");
});
afterAll(() => installation.close());

async function problemsAfter(sql: string): Promise<string[]> {
  await administrator.query("begin; set local role insulae_owner; set local search_path = data");
  try {
    await administrator.query(sql);
    const problems = await findIsolationProblems(administrator);
    return problems.map(({ object, problem }) => `${object} ${problem}`);
  } finally {
    await administrator.query("rollback");
  }
}

test("a sound database has no problem", async () => {
  expect(await problemsAfter("select 1")).toEqual([]);
});

describe("a table that is not isolated is found (attacks 6, 13)", () => {
  test.each([
    ["create table t (id int primary key)", "data.t has Row-Level Security switched off"],
    ["create table t (id int primary key)", "data.t has no column tenant_id"],
    [
      "alter table notes disable row level security",
      "data.notes has Row-Level Security switched off",
    ],
    [
      "alter table notes no force row level security",
      "data.notes does not force Row-Level Security",
    ],
    [
      "drop policy notes_tenant_isolation on notes",
      "data.notes has no policy on tenant_id with both",
    ],
    [
      `drop policy notes_tenant_isolation on notes;
       create policy p on notes using (tenant_id = app.current_tenant_id())`,
      "data.notes has no policy on tenant_id with both USING and WITH CHECK",
    ],
    [
      `drop policy notes_tenant_isolation on notes;
       create policy p on notes using (tenant_id = app.current_tenant_id()) with check (true)`,
      "data.notes has the permissive policy p, which lets more rows through",
    ],
    [
      "create policy everything on notes for select using (true)",
      "data.notes has the permissive policy everything, which lets more rows through",
    ],
    [
      "alter policy notes_tenant_isolation on notes to insulae_app",
      "data.notes has no policy on tenant_id with both",
    ],
    ["alter table notes alter tenant_id drop default", "has a tenant_id that is not"],
    [
      "alter table notes alter tenant_id set default gen_random_uuid()",
      "has a tenant_id that is not",
    ],
    [
      "alter table notes drop constraint notes_pkey; alter table notes alter tenant_id drop not null",
      "has a tenant_id that is not",
    ],
    [
      "alter table notes drop constraint notes_pkey",
      "data.notes has no index that leads with tenant_id",
    ],
    [
      "create unique index u on notes (text)",
      "has the unique index data.u, which does not lead with",
    ],
    [
      "alter table notes add constraint x exclude using btree (text with =)",
      "has the exclusion constraint x, which ignores tenant_id",
    ],
    [
      `create unique index u on notes (id); create table t (note uuid references notes (id));
       select app.tenant_table('t')`,
      "can point at another tenant",
    ],
    [
      `create table t (id uuid primary key); select app.tenant_table('t');
       create unique index u on notes (id); alter table t add foreign key (id) references notes (id)`,
      "data.t has the foreign key t_id_fkey, which can leave the tenant",
    ],
    [
      `create table t (id uuid primary key); select app.tenant_table('t');
       alter table t add foreign key (id, tenant_id) references notes (tenant_id, id)`,
      "data.t has the foreign key t_id_tenant_id_fkey, which can leave the tenant",
    ],
    ["create view v as select * from notes", "data.v is a view that is not security_invoker"],
    ["alter view all_notes set (security_invoker = false)", "data.all_notes is a view that is not"],
    ["create materialized view m as select 1", "data.m is a materialized view or a foreign table"],
    [
      "create function f() returns int language sql security definer return 1",
      "f() is SECURITY DEFINER and not in app.definer_functions",
    ],
    [
      `create function f() returns int language sql security definer return 1;
       insert into app.definer_functions values ('data.f()', 'because')`,
      "f() is SECURITY DEFINER and not in app.definer_functions, or its search_path is not pinned",
    ],
    ["grant truncate on notes to insulae_data", "data.notes grants TRUNCATE to insulae_data"],
    ["grant references on notes to insulae_data", "data.notes grants REFERENCES to insulae_data"],
    ["grant trigger on notes to insulae_data", "data.notes grants TRIGGER to insulae_data"],
    ["grant select on notes to public", "data.notes grants SELECT to everybody"],
    [
      "grant select (text) on notes to insulae_control",
      "data.notes.text grants SELECT to insulae_control",
    ],
    ["grant select on notes_number_seq to insulae_data", "data.notes_number_seq grants SELECT to"],
    ["grant create on schema data to insulae_data", "schema data grants CREATE to insulae_data"],
    ["grant usage on schema data to insulae_control", "schema data can be used by insulae_control"],
    ["grant usage on schema data to insulae_data", "schema data grants USAGE to insulae_data"],
    ["grant usage on schema app to insulae_schemas", "schema app grants USAGE to insulae_schemas"],
    ["revoke usage on schema data from insulae_app", "schema data cannot be used by insulae_app"],
    ["reset role; alter table notes owner to insulae_app", "data.notes is owned by insulae_app"],
    ["reset role; alter table notes owner to insulae_app", "role insulae_app owns 2 objects"],
  ])("%s", async (sql, problem) => {
    const problems = await problemsAfter(sql).catch((error: Error) => [error.message]);
    expect(problems.join("\n")).toContain(problem);
  });

  test("a listed SECURITY DEFINER function with a pinned search_path is allowed", async () => {
    const sql = `
      create function f() returns int language sql security definer set search_path = pg_catalog
      return 1;
      insert into app.definer_functions values ('data.f()', 'because')`;
    expect(await problemsAfter(sql)).toEqual([]);
  });
});

describe("a role that could bypass the isolation is found (attack 5)", () => {
  test.each([
    ["alter role insulae_app superuser", "role insulae_app is a superuser"],
    ["alter role insulae_app bypassrls", "role insulae_app is exempt from Row-Level Security"],
    [
      "alter role insulae_control bypassrls",
      "role insulae_control is exempt from Row-Level Security",
    ],
    ["alter role insulae_app createrole", "role insulae_app is allowed to create roles"],
    ["grant insulae_owner to insulae_app", "role insulae_app is a member of insulae_owner"],
    ["grant pg_read_all_data to insulae_app", "role insulae_app is a member of pg_read_all_data"],
    ["grant pg_read_all_data to insulae_data", "role insulae_data is a member of pg_read_all_data"],
    ["grant temporary on database %I to public", "lets everybody create objects"],
    ["grant create on database %I to insulae_app", "lets insulae_app create objects"],
    ["grant connect on database %I to public", "lets everybody connect"],
    ["grant usage on schema control to public", "schema control can be used by everybody"],
    ["grant create on schema public to public", "schema public lets everybody create objects"],
    ["grant usage on schema control to insulae_data", "schema control can be used by insulae_data"],
    [
      `create role t_0 login in role insulae_data; grant connect on database %I to t_0`,
      "lets t_0 connect",
    ],
    ["grant insulae_schemas to insulae_control", "insulae_control is a member of insulae_schemas"],
    ["grant insulae_control to insulae_schemas", "insulae_schemas is a member of insulae_control"],
    ["grant insulae_data to insulae_schemas", "insulae_schemas is a member of insulae_data"],
    [
      "create role s_0 in role insulae_data; grant s_0 to insulae_app",
      "role insulae_app is a member of s_0",
    ],
    [
      `create role s_0 in role insulae_data; alter role insulae_schemas inherit;
       revoke insulae_schemas from insulae_app; grant insulae_schemas to insulae_app;
       grant s_0 to insulae_schemas`,
      "role insulae_app has the rights of s_0 without taking it on",
    ],
    [
      "create role s_0 login in role insulae_data; grant s_0 to insulae_schemas",
      "role insulae_schemas is a member of s_0",
    ],
    [
      "create role t_0 login bypassrls in role insulae_data",
      "role t_0 is exempt from Row-Level Security",
    ],
  ])("%s", async (sql, problem) => {
    const { main } = installation;
    const problems = await problemsAfter(`reset role; ${sql.replace("%I", main.database)}`);
    expect(problems.join("\n")).toContain(problem);
  });
});

test.each([
  ["revoke all on notes from insulae_data", "data.notes does not grant SELECT to insulae_data"],
  ["revoke select on notes from insulae_data", "data.notes does not grant SELECT to insulae_data"],
  [
    "revoke all on sequence notes_number_seq from insulae_data",
    "data.notes has the sequence data.notes_number_seq, which does not grant USAGE",
  ],
  ["alter table notes add more serial", "data.notes has the sequence data.notes_more_seq"],
])("a grant that requests need is missed: %s", async (sql, expected) => {
  expect(await problemsAfter(sql)).toContainEqual(expect.stringContaining(expected));
});

test("the boot check lists all problems at once", async () => {
  await administrator.query("begin");
  await administrator.query(`
    alter table data.notes disable row level security;
    alter table data.notes no force row level security;
    alter role insulae_app bypassrls`);
  const error = await bootCheck(administrator).catch((caught: unknown) => caught);
  await administrator.query("rollback");
  expect(error).toBeInstanceOf(IsolationError);
  expect((error as IsolationError).problems).toHaveLength(3);
});
