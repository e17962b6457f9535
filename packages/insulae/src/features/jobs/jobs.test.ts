import { Type } from "typebox";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { feature } from "../../kernel/feature/feature.ts";
import { job, platformJob } from "../../kernel/feature/job.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { unknownId } from "../../testing/fixtures.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { until } from "../../testing/until.ts";

const released = new Map<string, () => void>();
let mended = false;
const slow = job("tests.slow", {
  data: Type.Object({ name: Type.String() }),
  async run({ name }, { progress, signal }) {
    progress(0.5);
    await new Promise<void>((resolve, reject) => {
      released.set(name, resolve);
      signal.addEventListener("abort", () => reject(signal.reason));
    });
    return { name };
  },
});
const broken = job("tests.broken", {
  retries: 0,
  async run() {
    if (!mended) throw new Error("it is broken");
  },
});
const ours = platformJob("tests.ours", { run: async () => {} });
const tests = feature("tests", {
  jobs: [slow, broken, ours],
  routes: (r) => [
    r.post(
      "/slow",
      {
        permission: "authenticated",
        audit: { none: "a test" },
        summary: "Sends a job",
        body: Type.Object({ name: Type.String() }),
        response: { 202: Type.Object({ job_id: Type.String() }) },
      },
      async ({ jobs, body }) => ({ job_id: await jobs.send(slow, body) }),
    ),
  ],
});

let people: TestPeople;
let tenant: Tenant;
let owner: Awaited<ReturnType<TestPeople["newOwner"]>>;
let stranger: typeof owner;
beforeAll(async () => {
  people = await openTestPeople({ features: [tests] });
  tenant = await people.newTenant();
  owner = await people.newOwner(tenant);
  stranger = await people.newOwner(await people.newTenant());
});
afterAll(() => people?.close());

const show = (id: string, token = owner.token) => people.get(`/api/v1/jobs/${id}`, { token });
/** The job, once it is as it is expected to be. */
const reached = (id: string, expected: object) =>
  until(`the job is ${JSON.stringify(expected)}`, async () => {
    const { body } = await show(id);
    return Object.entries(expected).every(([key, value]) => body[key] === value) && body;
  });
const sendSlow = async (name: string) =>
  (await people.post("/api/v1/slow", { token: owner.token, body: { name } })).body.job_id as string;
const sendBroken = () => people.app.withTenant(tenant, ({ jobs }) => jobs.send(broken, {}));

describe("a job over the API", () => {
  it("shows how far it is, and then what came of it", async () => {
    const id = await sendSlow("one");
    const running = await reached(id, { state: "running", progress: 0.5 });
    expect(running).toMatchObject({
      id,
      tenant_id: tenant.id,
      job: "tests.slow",
      data: { name: "one" },
      attempts: 1,
      result: null,
      error: null,
    });
    released.get("one")?.();
    expect(await reached(id, { state: "completed" })).toMatchObject({
      progress: null,
      result: { name: "one" },
    });
  });

  it("that runs is stopped when it is dropped", async () => {
    const id = await sendSlow("two");
    await reached(id, { state: "running", progress: 0.5 });
    const dropped = await people.delete(`/api/v1/jobs/${id}`, { token: owner.token });
    expect(dropped.status).toBe(204);
    expect((await show(id)).status).toBe(404);
  });

  it("that is parked is tried again, and is not tried again where it is not", async () => {
    const id = await sendBroken();
    expect(await reached(id, { state: "parked" })).toMatchObject({ error: "it is broken" });
    mended = true;
    const path = `/api/v1/jobs/${id}/retry`;
    expect(await people.post(path, { token: owner.token })).toMatchObject({ status: 200 });
    expect(await reached(id, { state: "completed" })).toMatchObject({ attempts: 2, error: null });
    expect(await people.post(path, { token: owner.token })).toMatchObject({
      status: 409,
      body: { code: "job_not_parked" },
    });
    mended = false;
  });

  it("is listed, newest first, by state and name, in pages", async () => {
    const first = await sendBroken();
    const second = await sendBroken();
    await reached(first, { state: "parked" });
    await reached(second, { state: "parked" });
    const list = async (query: string) =>
      (await people.get(`/api/v1/jobs?${query}`, { token: owner.token })).body;
    const page = await list("state=parked&job=tests.broken&limit=1");
    expect(page.items).toMatchObject([{ id: second, state: "parked" }]);
    const next = await list(`state=parked&job=tests.broken&limit=1&cursor=${page.next_cursor}`);
    expect(next.items).toMatchObject([{ id: first }]);
    expect((await list("state=parked&job=tests.slow")).items).toEqual([]);
  });

  it("may be retried and dropped by the platform's administrators, who see all", async () => {
    const admin = await people.admin();
    const theirs = await people.app.jobs.send(ours, {});
    const one = await sendBroken();
    await reached(one, { state: "parked" });
    const { body } = await people.get("/api/v1/jobs?limit=200", admin);
    const about = (body.items as { id: string; tenant_id: string | null }[]).filter(({ id }) =>
      [theirs, one].includes(id),
    );
    expect(about.map(({ tenant_id }) => tenant_id)).toEqual([tenant.id, null]);
    expect(await people.delete(`/api/v1/jobs/${one}`, admin)).toMatchObject({ status: 204 });
  });
});

describe("tenant B cannot", () => {
  it("see, list, retry or drop A's jobs, nor the platform's", async () => {
    const id = await sendBroken();
    await reached(id, { state: "parked" });
    const theirs = await people.app.jobs.send(ours, {});
    const { token } = stranger;
    const unknown = await show(unknownId, token);
    for (const hidden of [id, theirs]) {
      const { request_id: _, ...body } = (await show(hidden, token)).body;
      expect(body).toEqual({ ...unknown.body, request_id: undefined });
      expect((await people.post(`/api/v1/jobs/${hidden}/retry`, { token })).status).toBe(404);
      expect((await people.delete(`/api/v1/jobs/${hidden}`, { token })).status).toBe(404);
    }
    expect((await people.get("/api/v1/jobs", { token })).body.items).toEqual([]);
    expect((await show(id)).body).toMatchObject({ state: "parked" });
  });

  it("be looked at by a user who is no administrator", async () => {
    const user = await people.addUser(tenant, owner, {
      role: "manager",
      password: people.password,
    });
    expect(await people.get("/api/v1/jobs", { token: user.token })).toMatchObject({ status: 403 });
  });
});
