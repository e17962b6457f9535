/**
 * Random work of many clients for tenants of all three isolations, while calls are aborted and
 * connections are killed. Whatever comes back must be the caller's tenant's; whatever was
 * acknowledged must be there in the end. A run that fails prints what happened in which order.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import type { App } from "../src/app/app-api.ts";
import { createTestApp } from "../src/testing/index.ts";
import { randomFrom, seed } from "../src/testing/random.ts";

const clients = 24;
const operationsPerClient = 60;

/** What happened, in this order: the same seed does the same, but the network and PostgreSQL take their own time. */
const events: string[] = [];
const begun = performance.now();
const note = (what: string) => {
  events.push(`${(performance.now() - begun).toFixed(1)} ms  ${what}`);
};

interface Member {
  readonly key: string;
  readonly token: string;
  /** Contacts whose insert was acknowledged, and not their deletion. */
  readonly present: Map<string, string>;
  /** Names and ids whose fate is open: the call was aborted, or its outcome was unknown. */
  readonly open: Set<string>;
}

interface Item {
  readonly id: string;
  readonly name: string;
}

let app: App;
let url: string;
let members: Member[];
let killer: pg.Client;

beforeAll(async () => {
  app = await createTestApp();
  url = await app.listen({ port: 0, host: "127.0.0.1" });
  killer = new pg.Client(process.env.INSULAE_TEST_DATABASE_URL);
  await killer.connect();
  members = [];
  for (const isolation of ["pool", "schema", "database"] as const) {
    for (const number of [1, 2, 3]) {
      const key = `${isolation}-${number}`;
      await app.tenants.create({ key, name: key, isolation });
      const { statusCode, body } = await app.inject({
        method: "POST",
        url: "/api/v1/auth/register",
        headers: { "x-tenant": key },
        payload: { email: "u@example.com", password: "a-Fine-passphrase-7", first_name: "U" },
      });
      expect(statusCode, body).toBe(201);
      members.push({
        key,
        token: JSON.parse(body).access_token,
        present: new Map(),
        open: new Set(),
      });
    }
  }
});

afterAll(async () => {
  await killer?.end();
  await app?.close();
});

/** undefined: nothing came back, so nobody knows whether it happened. */
async function call(
  member: Member,
  method: string,
  path: string,
  options: { readonly body?: unknown; readonly abortAfterMs?: number | undefined } = {},
): Promise<{ status: number; text: string } | undefined> {
  const { body, abortAfterMs } = options;
  const asked = `${member.key}: ${method} ${path} ${JSON.stringify(body) ?? ""}`;
  note(`${asked}${abortAfterMs === undefined ? "" : `, aborted after ${abortAfterMs} ms`}`);
  try {
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${member.token}`,
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(abortAfterMs !== undefined && { signal: AbortSignal.timeout(abortAfterMs) }),
    });
    const text = await response.text();
    note(`${asked} → ${response.status} ${response.status === 200 ? "" : text}`);
    return { status: response.status, text };
  } catch (error) {
    note(`${asked} → ${error}`);
    return undefined;
  }
}

/** Every name in an answer says whose it is. */
function expectOwn(member: Member, text: string): void {
  for (const [, owner] of text.matchAll(/"name":\s*"([a-z]+-\d):/g)) {
    expect(owner, `${member.key} was shown ${text}`).toBe(member.key);
  }
}

async function operate(client: number, number: number, random: ReturnType<typeof randomFrom>) {
  const member = random.pick(members);
  const other = random.pick(members);
  if (!member || !other) return;
  const abortAfterMs = random.chance(0.15) ? random.below(6) : undefined;
  const name = `${member.key}:${client}-${number}`;
  const mine = random.pick([...member.present.keys()]);
  const action = random.below(6);

  if (action <= 1 || mine === undefined) {
    const reply = await call(member, "POST", "/contacts", { body: { name }, abortAfterMs });
    if (reply?.status === 201) member.present.set((JSON.parse(reply.text) as Item).id, name);
    else if (reply === undefined || reply.text.includes("write_outcome_unknown"))
      member.open.add(name);
    else expect([503], `${reply.text}`).toContain(reply.status);
    if (reply) expectOwn(member, reply.text);
  } else if (action === 2) {
    const reply = await call(member, "GET", "/contacts?limit=50", { abortAfterMs });
    if (reply) {
      expect([200, 503]).toContain(reply.status);
      expectOwn(member, reply.text);
    }
  } else if (action === 3) {
    const reply = await call(member, "GET", `/contacts/${mine}`, { abortAfterMs });
    if (reply?.status === 200) expectOwn(member, reply.text);
  } else if (action === 4) {
    // It may be gone by the time the answer comes: then it is open from now on.
    member.present.delete(mine);
    member.open.add(mine);
    const reply = await call(member, "DELETE", `/contacts/${mine}`, { abortAfterMs });
    if (reply) expect([204, 404, 503], `${reply.text}`).toContain(reply.status);
  } else if (other !== member) {
    const theirs = random.pick([...other.present.keys()]);
    const method = random.pick(["GET", "PATCH", "DELETE"]) ?? "GET";
    const body = method === "PATCH" ? { name } : undefined;
    const reply = await call(member, method, `/contacts/${theirs}`, { body });
    if (reply && theirs) expect([404, 503], `${reply.text}`).toContain(reply.status);
  }
}

/** Kills a connection of the app now and then. */
async function killConnections(signal: AbortSignal): Promise<number> {
  const random = randomFrom(seed);
  const tenants = await Promise.all(members.map(({ key }) => app.tenants.get(key)));
  const databases = [...new Set(tenants.map(({ placement }) => placement.database))];
  let killed = 0;
  while (!signal.aborted) {
    await sleep(60); // A pace, not a wait.
    const { rows } = await killer.query<{ pid: number; query: string }>(
      `select pid, query from pg_stat_activity
       where datname = any($1) and application_name like 'insulae app%' order by backend_start, pid`,
      [databases],
    );
    const victim = random.pick(rows);
    if (victim === undefined) continue;
    note(`killed ${victim.pid}: ${victim.query}`);
    await killer.query("select pg_terminate_backend($1)", [victim.pid]);
    killed += 1;
  }
  return killed;
}

async function allOf(member: Member): Promise<Item[]> {
  const items: Item[] = [];
  for (let cursor = ""; ; ) {
    const reply = await call(member, "GET", `/contacts?limit=200${cursor}`);
    expect(reply?.status, reply?.text).toBe(200);
    const page = JSON.parse(reply?.text ?? "") as { items: Item[]; next_cursor: string | null };
    items.push(...page.items);
    if (page.next_cursor === null) return items;
    cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
}

test("no foreign row is shown and no acknowledged write is lost", { timeout: 60_000 }, async () => {
  onTestFailed(() => console.error(events.join("\n")));
  const stop = new AbortController();
  const killing = killConnections(stop.signal);
  const working = Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const random = randomFrom(seed + client);
      for (let number = 0; number < operationsPerClient; number += 1) {
        await operate(client, number, random);
      }
    }),
  );
  await working.finally(async () => {
    stop.abort();
    await killing;
  });
  expect(await killing).toBeGreaterThan(0);
  for (const member of members) {
    const found = await allOf(member);
    const ids = new Set(found.map(({ id }) => id));
    const lost = [...member.present].filter(([id]) => !ids.has(id));
    expect(lost, `acknowledged and gone in ${member.key}`).toEqual([]);
    for (const { id, name } of found) {
      const known = member.present.get(id) === name || member.open.has(id) || member.open.has(name);
      expect(known, `${member.key} has ${name}, which nobody wrote there`).toBe(true);
    }
  }
});
