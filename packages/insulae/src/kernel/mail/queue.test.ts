import { sql } from "kysely";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestInstallation, type TestInstallation } from "../../testing/test-installation.ts";
import {
  deleteFinished,
  finish,
  listTurns,
  listTurnsAfter,
  nextDueMs,
  noTurn,
  platformTurn,
  takeDue,
  tryLater,
} from "./queue.ts";

let installation: TestInstallation;
beforeAll(async () => {
  installation = await createTestInstallation([]);
});
afterAll(() => installation?.close());
beforeEach(() => installation.control.deleteFrom("control.mails").execute());

const enqueue = (recipient: string) =>
  installation.control
    .insertInto("control.mails")
    .values({ template: "note", recipient, variables: '{"secret":"s"}' })
    .execute();
const rows = () =>
  installation.control.selectFrom("control.mails").selectAll().orderBy("id").execute();
const leaseMs = 60_000;
const over = -1;

describe("the queue of mails", () => {
  it("gives a mail to one of ten takers", async () => {
    await enqueue("a@example.org");
    const taken = await Promise.all(
      Array.from({ length: 10 }, () => takeDue(installation.control, platformTurn, leaseMs)),
    );
    expect(taken.filter(Boolean)).toHaveLength(1);
    expect(await nextDueMs(installation.control)).toBeGreaterThan(leaseMs / 2);
  });

  it("gives the mail of a taker that died to another, and ignores the first, should it finish late", async () => {
    await enqueue("a@example.org");
    const { control } = installation;
    const late = await takeDue(control, platformTurn, over);
    const second = await takeDue(control, platformTurn, leaseMs);
    if (!late || !second) throw new Error("the mail was not taken twice");
    expect(second).toMatchObject({ id: late.id, attempts: 2 });
    await finish(control, late, { state: "failed", reason: "too late" });
    await tryLater(control, late, "too late", over);
    expect(await takeDue(control, platformTurn, leaseMs)).toBeUndefined();
    await finish(control, second, { state: "sent" });
    await finish(control, late, { state: "failed", reason: "too late" });
    expect(await rows()).toMatchObject([{ state: "sent", reason: null, variables: {} }]);
    expect(await nextDueMs(control)).toBeUndefined();
  });

  it("names whose turn it is without reading all that one of them has waiting", async () => {
    const { control } = installation;
    await enqueue("a@example.org");
    expect(await listTurns(control, noTurn, 10)).toEqual([platformTurn]);
    expect(await listTurns(control, platformTurn, 10)).toEqual([]);
    await takeDue(control, platformTurn, leaseMs);
    expect(await listTurns(control, noTurn, 10)).toEqual([]);
    await sql`
      insert into control.mails (template, recipient)
      select 'note', 'a@example.org' from generate_series(1, 20000)`.execute(control);
    await sql`analyze control.mails`.execute(control);
    const { rows } = await sql<{ "QUERY PLAN": [{ Plan: object }] }>`
      explain (analyze, format json) ${listTurnsAfter(noTurn, 10)}`.execute(control);
    const plan = JSON.stringify(rows[0]);
    expect(plan).toContain("mails_turn");
    const read = [...plan.matchAll(/"Actual Rows":([\d.]+)/g)].map(([, count]) => Number(count));
    expect(Math.max(...read)).toBeLessThan(10);
  });

  it("keeps finished mails for a while", async () => {
    const { control } = installation;
    await enqueue("a@example.org");
    const mail = await takeDue(control, platformTurn, leaseMs);
    if (mail) await finish(control, mail, { state: "sent" });
    await enqueue("waiting@example.org");
    await deleteFinished(control, 1);
    expect(await rows()).toHaveLength(2);
    await deleteFinished(control, -1);
    expect((await rows()).map(({ recipient }) => recipient)).toEqual(["waiting@example.org"]);
  });
});
