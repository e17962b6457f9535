import { existsSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { App } from "../../app/app-api.ts";
import type { TenantScope } from "../../kernel/feature/tenant-scope.ts";
import { createMember, recordEvents, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { downloadOf, formOf, send, upload } from "../../testing/test-files.ts";
import { cleanUpFiles, removeOrphans } from "./files.clean-up.ts";
import { endUploadJob } from "./files.jobs.ts";
import type { FileTables } from "./files.queries.ts";

let app: App;
beforeAll(async () => {
  app = await createTestApp({ config: { deletedTenantDays: 0 } });
});
afterAll(() => app?.close());

const folder = (...parts: string[]) => join(app.config.dataDir, "files", ...parts);
const names = (place: string): string[] => {
  try {
    return readdirSync(folder(place), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name);
  } catch {
    return [];
  }
};
const inScope = <T>({ tenant }: TestMember, fn: (scope: TenantScope<FileTables>) => Promise<T>) =>
  app.withTenant<FileTables, T>(tenant, fn);
const usage = async ({ tenant }: TestMember) => {
  const [row] = await app.withTenant(tenant, ({ db }) =>
    db.query<{ bytes: string }>("select coalesce(sum(file_size), 0) as bytes from files"),
  );
  return Number(row?.bytes);
};
const ask = async (member: TestMember) =>
  (await member.call("POST", "/files", { file_name: "a", file_size: 4, mime_type: "text/plain" }))
    .body;

test("what was asked for and did not come in time is removed, with what came of it", async () => {
  const member = await createMember(app, "schema");
  const [late, sent, kept] = [await ask(member), await ask(member), await ask(member)];
  await send(app, sent.upload, "four");
  await inScope(member, ({ db }) =>
    db
      .updateTable("files")
      .set({ expires_at: new Date(Date.now() - 1) })
      .where("id", "in", [late.file.id, sent.file.id])
      .execute(),
  );
  expect(await inScope(member, cleanUpFiles)).toBe(2);
  expect([names(member.tenant.id), await usage(member)]).toEqual([[], 4]);
  expect((await member.call("POST", `/files/${sent.file.id}/confirm`)).status).toBe(404);
  expect((await member.call("GET", `/files/${kept.file.id}`)).status).toBe(200);
  expect(await inScope(member, cleanUpFiles)).toBe(0);
});

test("a deleted file whose bytes could not be removed is gone for all, and removed later", async () => {
  const member = await createMember(app);
  const { id } = (await upload(app, member, { content: "four" })).body;
  await inScope(member, async (scope) => {
    // As if the process had died after the row, and before the bytes.
    await scope.db.updateTable("files").set({ status: "deleted" }).execute();
    expect((await member.call("GET", `/files/${id}`)).status).toBe(404);
    expect([names(member.tenant.id), await usage(member)]).toEqual([[id], 4]);
    expect(await cleanUpFiles(scope)).toBe(1);
  });
  expect([names(member.tenant.id), await usage(member)]).toEqual([[], 0]);
});

test.each(["pool", "schema", "database"] as const)(
  "what a process that died left of isolation %s is removed within hours, and nobody else is looked at",
  async (isolation) => {
    const [member, idle] = [await createMember(app, isolation), await createMember(app, isolation)];
    await idle.call("GET", "/files");
    const jobsOf = ({ tenant }: TestMember) =>
      app.withPlatform("a test", async ({ control }) => {
        const { rows } = await sql<{ job: string; hours: number }>`
          select job, round(extract(epoch from due_at - now()) / 3600)::int as hours
          from control.jobs where queue = ${tenant.id} and state in ('held', 'ready')
            and attempts = 0 and job in ('files.clean-up', 'files.look-for-orphans')
          order by due_at`.execute(control);
        return rows;
      });
    for (const content of ["one", "two"]) await upload(app, member, { content });
    expect(await jobsOf(member)).toEqual([{ job: "files.clean-up", hours: 2 }]);
    await inScope(member, ({ db }) =>
      db
        .updateTable("files")
        .set({ status: "pending", expires_at: new Date(Date.now() - 1) })
        .execute(),
    );
    await app.withPlatform("a test", ({ control }) =>
      sql`update control.jobs set due_at = now() where queue = ${member.tenant.id}`.execute(
        control,
      ),
    );
    await inScope(member, ({ jobs }) => jobs.send(endUploadJob, { file_id: crypto.randomUUID() }));
    await vi.waitFor(() => expect(names(member.tenant.id)).toEqual([]), 10_000);
    await vi.waitFor(async () =>
      expect(await jobsOf(member)).toEqual([{ job: "files.look-for-orphans", hours: 50 }]),
    );
    expect(await jobsOf(idle)).toEqual([]);
  },
);

test("each way to leave something has it looked after first", async () => {
  const ways: ((member: TestMember, id: string) => Promise<unknown>)[] = [
    (member) => upload(app, member, { content: "four" }),
    (member) => ask(member),
    (member, id) => member.call("POST", `/files/${id}/confirm`),
    (member, id) => member.call("DELETE", `/files/${id}`),
  ];
  for (const way of ways) {
    const member = await createMember(app);
    const id = await inScope(member, async ({ db }) => {
      const [row] = await db.query<{ id: string }>(
        `insert into files (file_name, mime_type, file_size, metadata, expires_at)
         values ('a', 'text/plain', 4, '{}', now() + interval '1 hour') returning id`,
      );
      return row?.id ?? "";
    });
    await way(member, id);
    const { rows } = await app.withPlatform("a test", ({ control }) =>
      sql`select from control.jobs
        where queue = ${member.tenant.id} and job = 'files.clean-up'`.execute(control),
    );
    expect(rows).toHaveLength(1);
  }
});

test("bytes that no row knows of are removed once they are old, and nothing else", async () => {
  const member = await createMember(app);
  const { id } = (await upload(app, member, { content: "kept" })).body;
  await inScope(member, async (scope) => {
    const bytes = async function* () {
      yield Buffer.from("lost");
    };
    await scope.storage.put(crypto.randomUUID(), bytes(), "text/plain");
    await scope.storage.put(`incoming/${crypto.randomUUID()}`, bytes(), "text/plain");
    await scope.storage.put("reports/of-another-feature", bytes(), "text/plain");
    expect(await removeOrphans(scope)).toBe(0);
    expect(names(member.tenant.id)).toHaveLength(4);
    expect(await removeOrphans(scope, Date.now() + 1_000)).toBe(2);
  });
  expect(names(member.tenant.id).toSorted()).toEqual([id, "of-another-feature"].toSorted());
});

test("uploads that break off leave no file, no row and no descriptor (attack 67)", async () => {
  const member = await createMember(app);
  const { port } = new URL(await app.listen({ port: 0, host: "127.0.0.1" }));
  const { headers, payload } = formOf({ content: Buffer.alloc(200_000, "x") });
  const descriptors = () => readdirSync("/proc/self/fd").length;
  const breakOff = async (i: number) => {
    const asked = request({
      port,
      method: "POST",
      path: "/api/v1/files/upload",
      headers: {
        ...headers,
        authorization: `Bearer ${member.token}`,
        "content-length": payload.length,
      },
    });
    asked.on("error", () => {});
    asked.write(payload.subarray(0, i % 2 ? 150_000 : 300));
    // Some while their bytes are written, some before there are any.
    if (i % 4 === 1)
      await vi.waitFor(() => expect(names("unfinished").length).toBeGreaterThan(0), 10_000);
    else await sleep(i % 7);
    asked.destroy();
  };
  await Promise.all([breakOff(1), breakOff(2)]);
  const before = descriptors();
  for (let round = 0; round < 40; round++) {
    await Promise.all(Array.from({ length: 25 }, (_, i) => breakOff(i)));
  }
  await vi.waitFor(
    async () => {
      expect([names("unfinished"), names(member.tenant.id)]).toEqual([[], []]);
      expect(await usage(member)).toBe(0);
      expect(descriptors()).toBeLessThan(before + 20);
    },
    { timeout: 10_000 },
  );
  const [row] = await inScope(member, ({ db }) => db.query("select count(*)::int as n from files"));
  expect(row).toEqual({ n: 0 });
}, 60_000);

test("what unfinished uploads of a killed process left goes after an hour", async () => {
  const storage = await app.withPlatform("a test", async ({ storage }) => storage);
  for (const [name, age] of [
    ["old", 3_700],
    ["new", 10],
  ] as const) {
    writeFileSync(folder("unfinished", name), "half");
    const then = Date.now() / 1_000 - age;
    utimesSync(folder("unfinished", name), then, then);
  }
  await storage.sweep();
  expect(names("unfinished")).toEqual(["new"]);
});

test.each(["pool", "schema", "database"] as const)(
  "a deleted tenant of isolation %s answers for no file at once, and is erased with all of them",
  async (isolation) => {
    const [member, other] = [await createMember(app, isolation), await createMember(app)];
    const { id } = (await upload(app, member, { content: "mine" })).body;
    await upload(app, other, { content: "not mine" });
    const url = await downloadOf(app, member, id);
    const signed = (await ask(member)).upload;
    expect((await app.inject(url)).statusCode).toBe(200);
    await app.tenants.delete(member.tenant.id);
    expect((await app.inject(url)).statusCode).toBe(403);
    expect(await send(app, signed, "four")).toBe(403);
    await app.tenants.sweep();
    expect(existsSync(folder(member.tenant.id))).toBe(false);
    expect(names(other.tenant.id)).toHaveLength(1);
  },
);

test("a suspended tenant's signed URLs are refused while it is (attack 52)", async () => {
  const member = await createMember(app);
  const { id } = (await upload(app, member, { content: "mine" })).body;
  const url = await downloadOf(app, member, id);
  const signed = (await ask(member)).upload;
  await app.tenants.suspend(member.tenant.id);
  expect((await app.inject(url)).statusCode).toBe(403);
  expect(await send(app, signed, "four")).toBe(403);
  expect((await upload(app, member, { content: "x" })).status).toBe(403);
  await app.tenants.resume(member.tenant.id);
  expect((await app.inject(url)).statusCode).toBe(200);
  expect(await send(app, signed, "four")).toBe(204);
});

test("webhooks hear of files that can be read, and of nothing before", async () => {
  const member = await createMember(app);
  const recorded = await recordEvents(app, member.tenant);
  const { body: uploaded } = await upload(app, member, { content: "x", name: "a.txt" });
  const note = { file_name: "b.txt", file_size: 1, mime_type: "text/plain" };
  const [{ body: asked }, { body: dropped }] = [
    await member.call("POST", "/files", note),
    await member.call("POST", "/files", note),
  ];
  await member.call("DELETE", `/files/${dropped.file.id}`);
  expect(await recorded()).toHaveLength(1);
  await send(app, asked.upload, Buffer.from("y"));
  const confirm = () => member.call("POST", `/files/${asked.file.id}/confirm`);
  const { body: confirmed } = await confirm();
  await confirm();
  const path = `/files/${uploaded.id}`;
  const { body: renamed } = await member.call("PATCH", path, { file_name: "c.txt" });
  await member.call("DELETE", path);
  await member.call("DELETE", path);
  const timestamp = expect.any(String);
  expect(await recorded()).toEqual([
    { type: "file.created", timestamp, data: uploaded },
    { type: "file.created", timestamp, data: confirmed },
    { type: "file.updated", timestamp, data: renamed },
    { type: "file.deleted", timestamp, data: { id: uploaded.id } },
  ]);
});
