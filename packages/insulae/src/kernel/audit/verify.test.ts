import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import type { TestApp as App } from "../../testing/test-app.ts";
import type { Tenant } from "../model/tenant.ts";
import { createLogger } from "../telemetry/log.ts";
import { anchorsOf, createAnchors } from "./anchors.ts";
import { verifyChain } from "./verify.ts";

let app: App;
let owner: pg.Client;
let tenant: Tenant;

beforeAll(async () => {
  app = await createTestApp();
  owner = new pg.Client({ connectionString: app.config.databaseUrl });
  await owner.connect();
});

beforeEach(async () => {
  ({ tenant } = await createMember(app));
  for (let n = 2; n <= 10; n++) {
    await app.audit({ tenant, action: "thing.done", detail: { n, text: `ünïcode:${n},-` } });
  }
});

afterAll(async () => {
  await owner?.end();
  await app?.close();
});

const verify = (name = tenant.id) =>
  app.withTenant(name, ({ db }) =>
    app.withPlatform("verify", ({ control }) =>
      verifyChain({
        name,
        table: "audit_log",
        db,
        anchors: anchorsOf(control, { id: name }),
      }),
    ),
  );

const anchor = () =>
  app.withTenant<Record<never, never>, void>(tenant, ({ db }) =>
    app.withPlatform("anchor", async ({ control }) => {
      const options = { control, databaseOf: () => db, log: createLogger("silent") };
      const anchors = createAnchors(options, app.audit, new Map([[tenant.id, tenant]]));
      await anchors.anchor();
    }),
  );

/** As the database's superuser, who may do everything. */
const tamper = (statement: string) => owner.query(statement, [tenant.id]);

/** Recomputes the chain from an entry on, as a skilled attacker would. */
const rechain = (from: number) =>
  owner.query(`
    do $$
    declare
      entry data.audit_log;
      previous text;
    begin
      for entry in
        select * from data.audit_log where tenant_id = '${tenant.id}' order by seq
      loop
        if entry.seq >= ${from} then
          update data.audit_log set
            previous_hash = previous,
            hash = app.audit_hash(array[tenant_id::text, seq::text, id::text,
              to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), action, outcome,
              actor_kind, actor_id, actor_name, impersonator, target_type, target_id, ip,
              user_agent, request_id, detail::text, previous])
          where tenant_id = entry.tenant_id and seq = entry.seq;
        end if;
        select hash into previous from data.audit_log
        where tenant_id = entry.tenant_id and seq = entry.seq;
      end loop;
    end $$`);

test("an untouched log is intact, whatever its entries contain", async () => {
  expect(await verify()).toEqual({
    head: { seq: 10, hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    problem: undefined,
  });
});

test("so is the platform's", async () => {
  await app.audit({ action: "platform.tested" });
  const { head, problem } = await app.withPlatform("verify", ({ control }) =>
    verifyChain({ name: "platform", table: "control.audit_log", db: control }),
  );
  expect(head?.seq).toBeGreaterThan(1);
  expect(problem).toBeUndefined();
});

describe("the first wrong entry is reported when", () => {
  test.each([
    ["at", "at + interval '1 microsecond'"],
    ["action", "'thing.left'"],
    ["outcome", "'failed'"],
    ["actor_kind", "'user'"],
    ["actor_id", "'somebody'"],
    ["actor_name", "'Some Body'"],
    ["impersonator", "'somebody'"],
    ["target_type", "'thing'"],
    ["target_id", "'1'"],
    ["ip", "'192.0.2.1'"],
    ["user_agent", "''"],
    ["request_id", "'another'"],
    ["detail", "'{}'"],
    ["id", "gen_random_uuid()"],
    ["hash", "repeat('0', 64)"],
  ])("an entry's %s was changed", async (column, value) => {
    await tamper(`update data.audit_log set ${column} = ${value} where tenant_id = $1 and seq = 4`);
    expect(await verify()).toMatchObject({
      head: { seq: 3 },
      problem: { seq: 4, problem: "was changed" },
    });
  });

  test("an entry was deleted", async () => {
    await tamper("delete from data.audit_log where tenant_id = $1 and seq = 4");
    expect((await verify()).problem).toEqual({ seq: 4, problem: "is missing" });
  });

  test("an entry was deleted, and later ones renumbered", async () => {
    await tamper("delete from data.audit_log where tenant_id = $1 and seq = 4");
    for (let seq = 5; seq <= 10; seq++) {
      await tamper(
        `update data.audit_log set seq = ${seq - 1} where tenant_id = $1 and seq = ${seq}`,
      );
    }
    expect((await verify()).problem?.seq).toBe(4);
  });

  test("an entry was inserted", async () => {
    for (let seq = 10; seq >= 4; seq--) {
      await tamper(
        `update data.audit_log set seq = ${seq + 1} where tenant_id = $1 and seq = ${seq}`,
      );
    }
    await tamper(`insert into data.audit_log
      select (jsonb_populate_record(e, '{"seq": 4}')).* from data.audit_log e
      where tenant_id = $1 and seq = 3`);
    expect((await verify()).problem?.seq).toBe(4);
  });

  test("an entry was inserted before the first", async () => {
    await tamper(`insert into data.audit_log
      select (jsonb_populate_record(e, '{"seq": 0}')).* from data.audit_log e
      where tenant_id = $1 and seq = 1`);
    expect((await verify()).problem).toEqual({ seq: 1, problem: "is missing" });
  });

  test("two entries were swapped", async () => {
    for (const [from, to] of [
      [4, 99],
      [7, 4],
      [99, 7],
    ]) {
      await tamper(`update data.audit_log set seq = ${to} where tenant_id = $1 and seq = ${from}`);
    }
    expect((await verify()).problem).toMatchObject({ seq: 4 });
  });

  test("an entry was changed with its hash, and the next does not follow it", async () => {
    await tamper(
      "update data.audit_log set action = 'thing.left' where tenant_id = $1 and seq = 4",
    );
    await tamper(`update data.audit_log set hash = app.audit_hash(array[tenant_id::text, seq::text,
      id::text, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), action, outcome,
      actor_kind, actor_id, actor_name, impersonator, target_type, target_id, ip, user_agent,
      request_id, detail::text, previous_hash]) where tenant_id = $1 and seq = 4`);
    expect((await verify()).problem).toEqual({
      seq: 5,
      problem: "does not follow the entry before it",
    });
  });

  test("the end is missing, and an anchor names it", async () => {
    await anchor();
    expect((await verify()).problem).toBeUndefined();
    await tamper("delete from data.audit_log where tenant_id = $1 and seq > 8");
    expect(await verify()).toMatchObject({ head: { seq: 8 }, problem: { seq: 9 } });
  });

  test("everything was deleted, and an anchor names it", async () => {
    await anchor();
    await tamper("delete from data.audit_log where tenant_id = $1");
    expect((await verify()).problem?.seq).toBe(1);
  });

  test("everything after an entry was rewritten, and an anchor names it, whatever was anchored since", async () => {
    await anchor();
    await tamper("update data.audit_log set detail = '{}' where tenant_id = $1 and seq = 4");
    await rechain(4);
    await app.audit({ tenant, action: "thing.done" });
    await anchor();
    expect((await verify()).problem).toEqual({
      seq: 10,
      problem: "is not the entry that the platform's log names",
    });
  });

  test("the log is another tenant's", async () => {
    const other = (await createMember(app)).tenant;
    await tamper(`delete from data.audit_log where tenant_id = '${other.id}' and $1 <> ''`);
    await tamper(`insert into data.audit_log
      select (jsonb_populate_record(e, '{"tenant_id": "${other.id}"}')).* from data.audit_log e
      where tenant_id = $1`);
    expect((await verify(other.id)).problem?.seq).toBe(1);
  });
});

describe("a chain", () => {
  test("follows the order of commits without gaps under concurrent writes", async () => {
    const more = Array.from({ length: 40 }, (_, n) =>
      app
        .withTenant(tenant, ({ db }) =>
          db.transaction().execute(async (tx) => {
            await app.audit({ tenant, action: "thing.done" }, tx);
            if (n % 4 === 0) throw new Error("rolled back");
          }),
        )
        .catch(() => undefined),
    );
    await Promise.all(more);
    expect(await verify()).toMatchObject({ head: { seq: 40 }, problem: undefined });
  });

  test("survives a copy to another place, and continues there", async () => {
    const copies = await owner.query<{ n: number }>(
      `create schema elsewhere;
       create table elsewhere.audit_log (like data.audit_log including all);
       create trigger append before insert on elsewhere.audit_log
         for each row execute function app.append_audit_entry();
       insert into elsewhere.audit_log select * from data.audit_log where tenant_id = '${tenant.id}';
       insert into elsewhere.audit_log (tenant_id, action, outcome, actor_kind, detail)
         values ('${tenant.id}', 'thing.done', 'succeeded', 'system', '{}');
       select count(*)::int as n from elsewhere.audit_log e
         left join elsewhere.audit_log before on before.seq = e.seq - 1
         where e.previous_hash is not distinct from before.hash`,
    );
    // Five statements return five results.
    const results = copies as unknown as pg.QueryResult<{ n: number }>[];
    expect(results.at(-1)?.rows).toEqual([{ n: 11 }]);
  });
});
