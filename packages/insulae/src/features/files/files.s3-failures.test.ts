/** What becomes of files while the S3 fails, and of requests that it still takes. Between the server and moto is a proxy. */
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { Readable } from "node:stream";
import {
  CreateBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from "@aws-sdk/client-s3";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import type { App } from "../../app/app-api.ts";
import type { TenantScope } from "../../kernel/feature/tenant-scope.ts";
import { createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { formOf, upload } from "../../testing/test-files.ts";
import { describeWithMoto, startTestMoto, type TestMoto } from "../../testing/test-moto.ts";
import { until } from "../../testing/until.ts";
import { endUpload } from "./files.clean-up.ts";
import type { FileTables } from "./files.queries.ts";
import { confirmUpload } from "./files.service.ts";

const credentials = { accessKeyId: "test", secretAccessKey: "test" };
const Bucket = "files";

type Fate = "pass" | "fail" | "cut" | "hang";

describeWithMoto("while an S3 fails", () => {
  let moto: TestMoto;
  let proxy: Server;
  let client: S3Client;
  let app: App;
  let address: string;
  let asked: string[] = [];
  let fateOf: (request: IncomingMessage) => Fate | Promise<Fate> = () => "pass";

  beforeAll(async () => {
    moto = await startTestMoto();
    proxy = createServer(async (from, to) => {
      asked.push(`${from.method} ${from.url}`);
      const fate = await fateOf(from);
      if (fate === "hang") from.resume();
      else if (fate === "fail") to.writeHead(500).end();
      else if (fate === "cut") from.socket.destroy();
      else if (fate === "pass") {
        const { method = "", url = "", headers } = from;
        const passed = request(moto.url + url, { method, headers }, (answer) => {
          to.writeHead(answer.statusCode ?? 500, answer.headers);
          answer.pipe(to);
        });
        from.pipe(passed.on("error", () => to.destroy()));
      }
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const place = proxy.address();
    const endpoint = `http://127.0.0.1:${typeof place === "object" ? place?.port : undefined}`;
    client = new S3Client({
      endpoint: moto.url,
      region: "us-east-1",
      forcePathStyle: true,
      credentials,
    });
    await client.send(new CreateBucketCommand({ Bucket }));
    app = await createTestApp({
      config: {
        aws: { region: "us-east-1", endpoint, credentials },
        s3: { bucket: Bucket, region: "us-east-1", endpoint, pathStyle: true },
      },
    });
    address = await app.listen({ port: 0, host: "127.0.0.1" });
  }, 30_000);
  afterEach(() => {
    fateOf = () => "pass";
    asked = [];
  });
  afterAll(async () => {
    await app?.close();
    client?.destroy();
    proxy?.closeAllConnections();
    await new Promise((resolve) => proxy?.close(resolve));
    await moto?.stop();
  });

  const inScope = <T>(by: TestMember, fn: (scope: TenantScope<FileTables>) => Promise<T>) =>
    app.withTenant<FileTables, T>(by.tenant, fn);
  const keys = async ({ tenant }: TestMember): Promise<string[]> => {
    const Prefix = `${tenant.id}/`;
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix }));
    return Contents.map(({ Key = "" }) => Key.slice(Prefix.length)).toSorted();
  };
  const parts = async () =>
    (await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ?? [];
  const rows = async (by: TestMember) =>
    inScope(by, ({ db }) =>
      db.query<{ status: string; size: number }>(
        "select status, file_size::int as size from files order by id",
      ),
    );
  const ask = (by: TestMember, size = 4) =>
    by.call("POST", "/files", { file_name: "a.txt", file_size: size, mime_type: "text/plain" });
  const post = async (
    { url, fields }: { url: string; fields: Record<string, string> },
    content: string,
  ) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append("file", new Blob([content]), "a.txt");
    return (await fetch(url, { method: "POST", body: form })).status;
  };
  /** As if the time of what was signed were over. */
  const expire = (by: TestMember) =>
    inScope(by, ({ db }) =>
      db
        .updateTable("files")
        .set({ expires_at: new Date(0) })
        .execute(),
    );

  it.each<[string, (request: IncomingMessage) => Fate]>([
    ["its first answer", ({ url = "" }) => (url.includes("uploads") ? "fail" : "pass")],
    ["a part", ({ url = "" }) => (url.includes("partNumber=2") ? "fail" : "pass")],
    ["a part's connection", ({ url = "" }) => (url.includes("partNumber=2") ? "cut" : "pass")],
    [
      "the last answer",
      ({ method, url = "" }) => (method === "POST" && url.includes("uploadId") ? "fail" : "pass"),
    ],
  ])("an upload in parts that loses %s is 503, and leaves nothing", async (_what, fate) => {
    const member = await createMember(app);
    fateOf = fate;
    const content = Buffer.alloc(12_000_000, "x");
    const { status, body } = await upload(app, member, { content });
    expect([status, body.code]).toEqual([503, "storage_unavailable"]);
    expect([await keys(member), await parts(), await rows(member)]).toEqual([[], [], []]);
  });

  it("an upload that is still coming when the S3 goes is 503 too", async () => {
    const member = await createMember(app);
    const { headers, payload } = formOf({ content: Buffer.alloc(12_000_000, "x") });
    fateOf = ({ url = "" }) => (url.includes("partNumber=2") ? "cut" : "pass");
    async function* slowly() {
      yield payload.subarray(0, 11_000_000);
      // The failure comes first.
      await until("the server has given up its parts", () =>
        asked.some((one) => one.startsWith("DELETE ") && one.includes("uploadId=")),
      );
      yield payload.subarray(11_000_000);
    }
    const reply = await fetch(`${address}/api/v1/files/upload`, {
      method: "POST",
      headers: {
        ...headers,
        authorization: `Bearer ${member.token}`,
        "content-length": String(payload.length),
      },
      body: ReadableStream.from(slowly()),
      duplex: "half",
    });
    expect([reply.status, await reply.json()]).toMatchObject([
      503,
      { code: "storage_unavailable" },
    ]);
    expect([await keys(member), await parts(), await rows(member)]).toEqual([[], [], []]);
  });

  it("one answer in three that fails is asked for again", async () => {
    const member = await createMember(app);
    let failed = 0;
    fateOf = ({ url = "" }) => (url.includes("partNumber=2") && failed++ === 0 ? "fail" : "pass");
    const { status } = await upload(app, member, { content: Buffer.alloc(12_000_000, "x") });
    expect([status, failed, await parts()]).toEqual([201, 2, []]);
  });

  it("an upload whose client goes away is given up there too", async () => {
    const member = await createMember(app);
    const { port } = new URL(address);
    const hanging = Promise.withResolvers<IncomingMessage>();
    fateOf = (from) => {
      if (!from.url?.includes("partNumber=1")) return "pass";
      hanging.resolve(from);
      return "hang";
    };
    const { headers, payload } = formOf({ content: Buffer.alloc(12_000_000, "x") });
    const sent = request({
      port,
      method: "POST",
      path: "/api/v1/files/upload",
      headers: {
        ...headers,
        authorization: `Bearer ${member.token}`,
        "content-length": payload.length,
      },
    });
    sent.on("error", () => {});
    // A little more than is on its way to the S3: with much more, the server reads no further, and sees no end.
    sent.write(payload.subarray(0, 5 * 1024 * 1024 + 10_000));
    const { socket } = await hanging.promise;
    const closed = new Promise((resolve) => socket.once("close", resolve));
    sent.destroy();
    await closed;
    await vi.waitFor(
      async () => expect([await parts(), await rows(member)]).toEqual([[], []]),
      5_000,
    );
  });

  it.each(["GET", "PUT"])(
    "DELETE during confirm, before its %s, is 404 and leaves nothing",
    async (method) => {
      const member = await createMember(app);
      const { file, upload: signed } = (await ask(member)).body;
      await post(signed, "four");
      let deleted: number | undefined;
      fateOf = async (from): Promise<Fate> => {
        if (from.method === method && deleted === undefined) {
          deleted = 0;
          deleted = (await member.call("DELETE", `/files/${file.id}`)).status;
        }
        return "pass";
      };
      const { status, body } = await member.call("POST", `/files/${file.id}/confirm`);
      expect([deleted, status, body.code]).toEqual([204, 404, "file_not_found"]);
      expect(await keys(member)).toEqual([]);
    },
  );

  it("DELETE while the S3 copies leaves nothing either", async () => {
    const member = await createMember(app);
    const { file, upload: signed } = (await ask(member)).body;
    await post(signed, "four");
    const confirmed = inScope(member, async (scope) => {
      // The copy had begun, and ends after everything was removed.
      const copy = async (_from: string, to: string) => {
        await member.call("DELETE", `/files/${file.id}`);
        await scope.storage.put(to, Readable.from([Buffer.from("four")]), "text/plain");
        expect(await keys(member)).toEqual([file.id]);
        return { sha256: null };
      };
      await confirmUpload({ ...scope, storage: { ...scope.storage, copy } }, file.id);
    });
    await expect(confirmed).rejects.toMatchObject({ code: "file_not_found" });
    expect(await keys(member)).toEqual([]);
  });

  it("room stays taken for as long as a signed request is good, whatever became of its file", async () => {
    const member = await createMember(app);
    const limits = { storage_bytes: 10 };
    await app.tenants.update(member.tenant.id, { settings: { limits } });
    const { file, upload: signed } = (await ask(member, 8)).body;
    expect((await member.call("DELETE", `/files/${file.id}`)).status).toBe(204);
    expect((await member.call("GET", `/files/${file.id}`)).status).toBe(404);
    // The S3 can't know.
    expect(await post(signed, "eight888")).toBeLessThan(300);
    expect(await keys(member)).toEqual([`incoming/${file.id}`]);
    expect((await ask(member, 8)).body.code).toBe("quota_exceeded");
    await inScope(member, (scope) => endUpload(scope, file.id));
    expect(await rows(member)).toEqual([{ status: "deleted", size: 8 }]);

    await post(signed, "eight888");
    await expire(member);
    await inScope(member, (scope) => endUpload(scope, file.id));
    expect([await keys(member), await rows(member)]).toEqual([[], []]);
    expect((await ask(member, 8)).status).toBe(201);
  });

  it("also when it was confirmed before it was deleted, or refused", async () => {
    const member = await createMember(app);
    const [confirmed, refused] = [(await ask(member)).body, (await ask(member)).body];
    await post(confirmed.upload, "four");
    await post(refused.upload, "fo\0r");
    expect((await member.call("POST", `/files/${confirmed.file.id}/confirm`)).status).toBe(200);
    expect((await member.call("POST", `/files/${refused.file.id}/confirm`)).status).toBe(415);
    expect((await member.call("DELETE", `/files/${confirmed.file.id}`)).status).toBe(204);
    expect(await rows(member)).toEqual([
      { status: "deleted", size: 4 },
      { status: "deleted", size: 4 },
    ]);
    // What came through the server has no such request.
    const { body } = await upload(app, member, { content: "through" });
    await member.call("DELETE", `/files/${body.id}`);
    expect(await rows(member)).toHaveLength(2);
  });

  it("what a signed request brings after its file was confirmed goes minutes later", async () => {
    const member = await createMember(app);
    const since = Date.now();
    const { file, upload: signed } = (await ask(member)).body;
    await post(signed, "four");
    await member.call("POST", `/files/${file.id}/confirm`);
    await post(signed, "more");
    const [job] = await app.withPlatform("a test", async ({ control }) => {
      const { rows } = await sql<{ due_at: Date }>`
        select due_at from control.jobs where data->>'file_id' = ${file.id}`.execute(control);
      return rows;
    });
    const minutes = (new Date(job?.due_at ?? 0).getTime() - since) / 60_000;
    expect(minutes).toBeGreaterThan(15);
    expect(minutes).toBeLessThan(30);
    await inScope(member, (scope) => endUpload(scope, file.id));
    expect(await keys(member)).toEqual([file.id]);
    expect(await rows(member)).toEqual([{ status: "ready", size: 4 }]);
  });

  it("readiness says so, stays 200, and asks it no more often for being asked", async () => {
    const ready = async () => {
      const { statusCode, body } = await app.inject("/health/ready");
      const { status, dependencies } = JSON.parse(body);
      return [statusCode, status, dependencies.storage.status];
    };
    expect(await ready()).toEqual([200, "ready", "up"]);
    const before = asked.length;
    await Promise.all(Array.from({ length: 20 }, ready));
    for (let i = 0; i < 5; i++) await ready();
    expect(asked.length).toBe(before);
    fateOf = () => "fail";
    const later = performance.now() + 11_000;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => later);
    try {
      expect(await ready()).toEqual([200, "degraded", "down"]);
    } finally {
      clock.mockRestore();
    }
  });
});
