/** Against moto, an S3 by somebody else. What it does not check (policies of forms) is looked at here. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { App } from "../../app/app-api.ts";
import type { TenantScope } from "../../kernel/feature/tenant-scope.ts";
import { createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { upload } from "../../testing/test-files.ts";
import { describeWithMoto, startTestMoto, type TestMoto } from "../../testing/test-moto.ts";
import { cleanUpFiles, removeOrphans } from "./files.clean-up.ts";
import type { FileTables } from "./files.queries.ts";

const credentials = { accessKeyId: "test", secretAccessKey: "test" };
const sha256 = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex");

describeWithMoto("files in an S3", () => {
  const Bucket = "files";
  let moto: TestMoto;
  let client: S3Client;
  let app: App;
  let a: TestMember;

  beforeAll(async () => {
    moto = await startTestMoto();
    client = new S3Client({
      endpoint: moto.url,
      region: "us-east-1",
      forcePathStyle: true,
      credentials,
    });
    await client.send(new CreateBucketCommand({ Bucket }));
    app = await openApp();
    a = await createMember(app);
  }, 30_000);
  afterAll(async () => {
    await app?.close();
    client?.destroy();
    await moto?.stop();
  });

  const openApp = (cdnBaseUrl?: string) =>
    createTestApp({
      config: {
        deletedTenantDays: 0,
        cdnBaseUrl,
        aws: { region: "us-east-1", endpoint: moto.url, credentials },
        s3: { bucket: Bucket, region: "us-east-1", endpoint: moto.url, pathStyle: true },
      },
    });
  const keys = async ({ tenant }: TestMember): Promise<string[]> => {
    const { Contents = [] } = await client.send(
      new ListObjectsV2Command({ Bucket, Prefix: `${tenant.id}/` }),
    );
    return Contents.map(({ Key = "" }) => Key).toSorted();
  };
  const parts = async () =>
    (await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ?? [];
  const locationOf = async (id: string, on = app, by = a) => {
    const reply = await on.inject({
      url: `/api/v1/files/${id}/download`,
      headers: { authorization: `Bearer ${by.token}` },
    });
    expect(reply.statusCode).toBe(302);
    return String(reply.headers.location);
  };
  const ask = async (by: TestMember, content: string, type = "text/plain") =>
    (
      await by.call("POST", "/files", {
        file_name: "a.txt",
        file_size: content.length,
        mime_type: type,
      })
    ).body;
  /** As a browser's form does. */
  const post = async (
    { url, fields }: { url: string; fields: Record<string, string> },
    content: string,
  ) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append("file", new Blob([content]), "a.txt");
    return (await fetch(url, { method: "POST", body: form })).status;
  };
  const inScope = <T>(by: TestMember, fn: (scope: TenantScope<FileTables>) => Promise<T>) =>
    app.withTenant<FileTables, T>(by.tenant, fn);

  it.each([
    ["in one piece", 1_000],
    ["in parts", 12_000_000],
  ])("an upload through the server goes there %s, and comes back", async (_how, size) => {
    const content = Buffer.alloc(size, "0123456789abcdef");
    const { status, body } = await upload(app, a, {
      content,
      name: "Ärger.html",
      type: "text/html",
    });
    expect([status, body.sha256]).toEqual([201, sha256(content)]);
    expect(await keys(a)).toContain(body.file_key);
    const location = await locationOf(body.id);
    const reply = await fetch(location);
    expect(Buffer.from(await reply.arrayBuffer()).equals(content)).toBe(true);
    expect(reply.headers.get("content-type")).toContain("text/html");
    // S3 answers with it as a header; a moto before 5.2.5 does not.
    expect(new URL(location).searchParams.get("response-content-disposition")).toBe(
      "attachment; filename=\"_rger.html\"; filename*=UTF-8''%C3%84rger.html",
    );
    expect((await a.call("DELETE", `/files/${body.id}`)).status).toBe(204);
    expect(await keys(a)).not.toContain(body.file_key);
  });

  it("a long name and a type with parameters go there by either way, and fit a URL", async () => {
    const type = "text/plain; charset=utf-8";
    const fields = { file_name: "😀".repeat(255) };
    const { body } = await upload(app, a, { content: "four", type, fields });
    const note = { ...fields, file_size: 4, mime_type: "Text/Plain;charset=utf-8" };
    const { file, upload: signed } = (await a.call("POST", "/files", note)).body;
    expect(await post(signed, "four")).toBeLessThan(300);
    expect((await a.call("POST", `/files/${file.id}/confirm`)).status).toBe(200);
    for (const { id } of [body, file]) {
      const location = await locationOf(id);
      expect(location.length).toBeLessThan(3_000);
      expect(new URL(location).searchParams.get("response-content-type")).toBe(type);
      const reply = await fetch(location);
      expect([reply.status, reply.headers.get("content-type"), await reply.text()]).toEqual([
        200,
        type,
        "four",
      ]);
    }
  });

  it("an upload that fails on its way leaves neither object nor parts", async () => {
    const member = await createMember(app);
    const { status } = await upload(app, member, {
      content: Buffer.alloc(12_000_000, "x"),
      fields: { file_size: "12000001" },
    });
    expect(status).toBe(422);
    expect([await keys(member), await parts()]).toEqual([[], []]);
    expect((await member.call("GET", "/files?status=pending")).body.items).toEqual([]);
  });

  it("a signed request names key, type and size, so that the storage refuses others", async () => {
    const { file, upload: signed } = await ask(a, "four");
    expect(signed.method).toBe("POST");
    const { conditions, expiration } = JSON.parse(
      Buffer.from(signed.fields.Policy, "base64").toString(),
    );
    expect(conditions).toEqual(
      expect.arrayContaining([
        ["content-length-range", 4, 4],
        { "Content-Type": "text/plain" },
        { bucket: Bucket },
        { key: `${a.tenant.id}/incoming/${file.id}` },
      ]),
    );
    const left = new Date(expiration).getTime() - Date.now();
    expect(left).toBeGreaterThan(800_000);
    expect(left).toBeLessThanOrEqual(900_000);
    await a.call("DELETE", `/files/${file.id}`);
  });

  it("a file is sent there, confirmed, and cannot be replaced afterwards", async () => {
    const member = await createMember(app, "database");
    const { file, upload: signed } = await ask(member, "four");
    const path = `/files/${file.id}`;
    expect((await member.call("POST", `${path}/confirm`)).body.code).toBe("file_not_uploaded");
    expect(await post(signed, "four")).toBeLessThan(300);
    const [confirmed, again] = await Promise.all([
      member.call("POST", `${path}/confirm`),
      member.call("POST", `${path}/confirm`),
    ]);
    expect(confirmed.body).toMatchObject({ status: "ready", sha256: sha256("four") });
    expect(again).toEqual(confirmed);
    expect(await keys(member)).toEqual([file.file_key]);
    await post(signed, "evil");
    await member.call("POST", `${path}/confirm`);
    const reply = await fetch(await locationOf(file.id, app, member));
    expect(await reply.text()).toBe("four");
    expect(await inScope(member, (scope) => removeOrphans(scope, Date.now() + 60_000))).toBe(1);
    expect(await keys(member)).toEqual([file.file_key]);
  });

  it("what came is looked at there: another size or type is refused, and removed", async () => {
    const member = await createMember(app);
    const larger = await ask(member, "four");
    await post(larger.upload, "more than four");
    const other = await ask(member, "four");
    await post(
      { ...other.upload, fields: { ...other.upload.fields, "Content-Type": "text/html" } },
      "four",
    );
    const liar = await ask(member, "<svg onload=alert(1)>", "image/png");
    await post(liar.upload, "<svg onload=alert(1)>");
    for (const [{ file }, code] of [
      [larger, "file_size_mismatch"],
      [other, "file_type_mismatch"],
      [liar, "file_type_mismatch"],
    ] as const) {
      expect((await member.call("POST", `/files/${file.id}/confirm`)).body.code).toBe(code);
    }
    expect(await keys(member)).toEqual([]);
  });

  it("what never came, and bytes without a file, are cleaned up", async () => {
    const member = await createMember(app);
    const { file, upload: signed } = await ask(member, "four");
    await post(signed, "four");
    await inScope(member, async (scope) => {
      await scope.db
        .updateTable("files")
        .set({ expires_at: new Date(0) })
        .execute();
      expect(await cleanUpFiles(scope)).toBe(1);
      await scope.storage.put(file.id, Readable.from([Buffer.from("lost")]), "text/plain");
      expect(await removeOrphans(scope)).toBe(0);
      expect(await removeOrphans(scope, Date.now() + 60_000)).toBe(1);
    });
    expect(await keys(member)).toEqual([]);
  });

  it("a deleted tenant is erased with all that it has there, and nobody else", async () => {
    const member = await createMember(app);
    await upload(app, member, { content: "mine" });
    const { body } = await upload(app, a, { content: "not mine" });
    const Key = `${member.tenant.id}/half`;
    await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    await app.tenants.delete(member.tenant.id);
    await app.tenants.sweep();
    expect([await keys(member), await parts()]).toEqual([[], []]);
    expect(await keys(a)).toContain(body.file_key);
  });

  it("parts that nobody ended go, if they are a tenant's", async () => {
    // For moto, every upload began years ago.
    await client.send(new CreateMultipartUploadCommand({ Bucket, Key: `${a.tenant.id}/half` }));
    await client.send(new CreateMultipartUploadCommand({ Bucket, Key: "somebody/else" }));
    const storage = await app.withPlatform("a test", async ({ storage }) => storage);
    await storage.sweep();
    expect((await parts()).map(({ Key }) => Key)).toEqual(["somebody/else"]);
  });

  it("downloads lead to the CDN, where there is one", async () => {
    const behind = await openApp("https://cdn.example.com");
    try {
      const member = await createMember(behind);
      const { body } = await upload(behind, member, { content: "x" });
      const url = new URL(await locationOf(body.id, behind, member));
      expect(url.origin).toBe("https://cdn.example.com");
      expect(url.searchParams.has("X-Amz-Signature")).toBe(true);
      expect(await (await fetch(moto.url + url.pathname + url.search)).text()).toBe("x");
    } finally {
      await behind.close();
    }
  });

  it("the same download has the same URL for a while, and never for more than an hour", async () => {
    const { body } = await upload(app, a, { content: "x" });
    vi.useFakeTimers({ toFake: ["Date"], now: Math.ceil(Date.now() / 900_000) * 900_000 + 1_000 });
    try {
      const url = await locationOf(body.id);
      vi.setSystemTime(Date.now() + 890_000);
      expect(await locationOf(body.id)).toBe(url);
      expect(new URL(url).searchParams.get("X-Amz-Expires")).toBe("3600");
      vi.setSystemTime(Date.now() + 10_000);
      expect(await locationOf(body.id)).not.toBe(url);
    } finally {
      vi.useRealTimers();
    }
  });

  it("an S3 that does not answer is said so, and takes no room from anybody", async () => {
    const member = await createMember(app);
    await moto.stop();
    const { status, body } = await upload(app, member, { content: "x" });
    expect([status, body.code]).toEqual([503, "storage_unavailable"]);
    expect((await member.call("GET", "/files?status=pending")).body.items).toEqual([]);
  }, 30_000);
});
