/**
 * Stores files in an S3 bucket, Amazon's or compatible. Clients upload and download by requests
 * signed here; bytes pass through this server only if clients upload to it. They are forwarded in
 * parts as they arrive, so an upload of any size takes some ten megabytes of memory.
 *
 * Every operation has a deadline of our own (`s3-operation.ts`). The SDK is loaded on first use.
 * Required permissions: GetObject, PutObject, DeleteObject and AbortMultipartUpload on objects,
 * ListBucket and ListBucketMultipartUploads on the bucket.
 */
import type { Readable } from "node:stream";
import type { AwsSettings } from "../../config/channels.ts";
import type { S3Settings } from "../../config/config.ts";
import { downloadSeconds, type StorageDriver, signingTime } from "./driver.ts";
import {
  boundedAnswer,
  type OperationLimits,
  operation,
  type Sending,
  unless,
} from "./s3-operation.ts";

export interface S3DriverOptions {
  readonly s3: S3Settings;
  readonly aws: AwsSettings;
  /** A CDN in front of the bucket. */
  readonly cdnBaseUrl: string | undefined;
}

/** One part at a time is in memory. */
const partBytes = 5 * 1024 * 1024;
/** The time allowed for copying the largest file, or assembling its parts. */
const assemblyMs = 60_000;
/** Longer than any upload takes. */
const staleMs = 3_600_000;

async function load({ s3, aws }: S3DriverOptions) {
  const [sdk, { createPresignedPost }, { getSignedUrl }] = await Promise.all([
    import("@aws-sdk/client-s3"),
    import("@aws-sdk/s3-presigned-post"),
    import("@aws-sdk/s3-request-presigner"),
  ]);
  const client = new sdk.S3Client({
    ...(s3.region !== undefined && { region: s3.region }),
    ...(s3.endpoint !== undefined && { endpoint: s3.endpoint }),
    ...(aws.credentials && { credentials: aws.credentials }),
    forcePathStyle: s3.pathStyle,
    // Servers other than Amazon's don't support checksums in trailers.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // Without `throwOnRequestTimeout`, the SDK only logs timeouts.
    requestHandler: { connectionTimeout: 3_000, throwOnRequestTimeout: true },
  });
  client.middlewareStack.add(boundedAnswer, { step: "deserialize", priority: "low" });
  return { sdk, client, createPresignedPost, getSignedUrl };
}

export function createS3Driver(options: S3DriverOptions): StorageDriver {
  const { bucket: Bucket } = options.s3;
  let loading: ReturnType<typeof load> | undefined;
  const opened = () => (loading ??= load(options));

  type Opened = Awaited<ReturnType<typeof load>>;
  const ask = <T>(
    work: (s3: Opened, sending: Sending) => Promise<T>,
    limits?: OperationLimits,
  ): Promise<T> => operation(async (sending) => work(await opened(), sending), limits);

  async function* pages(prefix: string) {
    for (let token: string | undefined; ; ) {
      const { Contents = [], NextContinuationToken } = await ask(({ sdk, client }, sending) =>
        client.send(
          new sdk.ListObjectsV2Command({ Bucket, Prefix: prefix, ContinuationToken: token }),
          sending,
        ),
      );
      yield Contents.flatMap(({ Key: key, LastModified: changedAt }) =>
        key !== undefined && changedAt ? [{ key, changedAt }] : [],
      );
      token = NextContinuationToken;
      if (token === undefined) return;
    }
  }

  const remove = async (keys: readonly string[]): Promise<void> => {
    for (let at = 0; at < keys.length; at += 1_000) {
      const Objects = keys.slice(at, at + 1_000).map((Key) => ({ Key }));
      await ask(async ({ sdk, client }, sending) => {
        const { Errors = [] } = await client.send(
          new sdk.DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
          sending,
        );
        if (Errors[0]) throw new Error(`${Errors[0].Code}: ${Errors[0].Message}`);
      });
    }
  };

  const abortUpload = (Key: string, UploadId: string): Promise<unknown> =>
    ask(({ sdk, client }, sending) =>
      client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId }), sending),
    );

  /** Aborts multipart uploads that nobody will complete. */
  const abortUploads = async (
    Prefix: string,
    wanted: (upload: { key: string; startedAt: Date }) => boolean,
  ) => {
    for (let next: { KeyMarker?: string; UploadIdMarker?: string } = {}; ; ) {
      const page = await ask(({ sdk, client }, sending) =>
        client.send(new sdk.ListMultipartUploadsCommand({ Bucket, Prefix, ...next }), sending),
      );
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        if (Key === undefined || UploadId === undefined) continue;
        if (wanted({ key: Key, startedAt: Initiated ?? new Date() }))
          await abortUpload(Key, UploadId);
      }
      const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = page;
      if (!IsTruncated || NextKeyMarker === undefined) return;
      next = {
        KeyMarker: NextKeyMarker,
        ...(NextUploadIdMarker !== undefined && { UploadIdMarker: NextUploadIdMarker }),
      };
    }
  };

  /**
   * Uploads an object in parts. Errors of `parts`, including a disconnected client, are rethrown as
   * they are.
   */
  async function putInParts(
    Key: string,
    first: Buffer,
    parts: AsyncIterable<Buffer>,
    ContentType: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const UploadId = await ask(async ({ sdk, client }, sending) => {
      const command = new sdk.CreateMultipartUploadCommand({ Bucket, Key, ContentType });
      return mustHave((await client.send(command, sending)).UploadId);
    });
    const Parts: { PartNumber: number; ETag: string }[] = [];
    const send = async (Body: Buffer) => {
      const PartNumber = Parts.length + 1;
      const part = { Bucket, Key, UploadId, PartNumber, Body };
      const ETag = await ask(
        async ({ sdk, client }, sending) =>
          mustHave((await client.send(new sdk.UploadPartCommand(part), sending)).ETag),
        { bytes: Body.length, signal },
      );
      Parts.push({ PartNumber, ETag });
    };
    try {
      await send(first);
      for await (const part of parts) await send(part);
      await ask(
        async ({ sdk, client }, sending) => {
          const whole = { Bucket, Key, UploadId, MultipartUpload: { Parts } };
          const command = new sdk.CompleteMultipartUploadCommand(whole);
          mustHave((await client.send(command, sending)).ETag);
        },
        { ms: assemblyMs, signal },
      );
    } catch (error) {
      // If this fails too, `sweep` finds them.
      await abortUpload(Key, UploadId).catch(() => {});
      throw error;
    }
  }

  return {
    revokes: false,
    async put(Key, bytes, ContentType, signal) {
      const parts = partsOf(bytes);
      try {
        const { value: Body = Buffer.alloc(0) } = await parts.next();
        // After a full part there may be more.
        if (Body.length === partBytes) {
          await putInParts(Key, Body, parts, ContentType, signal);
          return;
        }
        await ask(
          async ({ sdk, client }, sending) => {
            const command = new sdk.PutObjectCommand({ Bucket, Key, Body, ContentType });
            mustHave((await client.send(command, sending)).ETag);
          },
          { bytes: Body.length, signal },
        );
      } finally {
        await parts.return(undefined);
      }
    },
    stat: (Key) =>
      ask(async ({ sdk, client }, sending) => {
        const found = await client
          .send(new sdk.HeadObjectCommand({ Bucket, Key }), sending)
          .catch(unless(404));
        if (found === 404) return undefined;
        const size = found.ContentLength ?? 0;
        return { size, type: found.ContentType, tag: mustHave(found.ETag) };
      }),
    start: (Key, bytes) =>
      ask(async ({ sdk, client }, sending) => {
        const part = { Bucket, Key, Range: `bytes=0-${bytes - 1}` };
        const found = await client
          .send(new sdk.GetObjectCommand(part), sending)
          .catch(unless(404, 416));
        if (found === 404) return undefined;
        // 416: the object is empty. In Node, the SDK's bodies are Node streams.
        return found === 416 ? Buffer.alloc(0) : startOf(found.Body as Readable, bytes);
      }),
    copy: (from, to, tag) =>
      ask(
        async ({ sdk, client }, sending) => {
          const copied = await client
            .send(
              new sdk.CopyObjectCommand({
                Bucket,
                Key: to,
                CopySource: `${Bucket}/${from}`,
                CopySourceIfMatch: tag,
                ChecksumAlgorithm: "SHA256",
              }),
              sending,
            )
            .catch(unless(404, 412));
          if (typeof copied === "number") return undefined;
          const result = mustHave(copied.CopyObjectResult);
          mustHave(result.ETag);
          const { ChecksumSHA256: sum, ChecksumType: kind } = result;
          const whole = sum !== undefined && kind !== "COMPOSITE";
          return { sha256: whole ? Buffer.from(sum, "base64").toString("hex") : null };
        },
        { ms: assemblyMs },
      ),
    delete: (...keys) => remove(keys),
    async *list(prefix) {
      for await (const page of pages(prefix)) yield* page;
    },
    async *folders() {
      for (let token: string | undefined; ; ) {
        const { CommonPrefixes = [], NextContinuationToken } = await ask(
          ({ sdk, client }, sending) =>
            client.send(
              new sdk.ListObjectsV2Command({ Bucket, Delimiter: "/", ContinuationToken: token }),
              sending,
            ),
        );
        for (const { Prefix = "" } of CommonPrefixes) yield Prefix.slice(0, -1);
        token = NextContinuationToken;
        if (token === undefined) return;
      }
    },
    async deleteAll(prefix) {
      await abortUploads(prefix, ({ key }) => key.startsWith(prefix));
      for await (const page of pages(prefix)) await remove(page.map(({ key }) => key));
    },
    // Signing is local, but loading the credentials may need the network.
    signUpload: (Key, { size, type, seconds }) =>
      ask(async ({ client, createPresignedPost }) => {
        const { url, fields } = await createPresignedPost(client, {
          Bucket,
          Key,
          // The key and all fields must match, and the file must have exactly this size.
          Conditions: [["content-length-range", size, size]],
          Fields: { "Content-Type": type },
          Expires: seconds,
        });
        const expiresAt = new Date(Date.now() + seconds * 1_000);
        return { method: "POST" as const, url, headers: {}, fields, expiresAt };
      }),
    signDownload: (Key, { type, disposition }) =>
      ask(async ({ sdk, client, getSignedUrl }) => {
        const command = new sdk.GetObjectCommand({
          Bucket,
          Key,
          ResponseContentType: type,
          ResponseContentDisposition: disposition,
        });
        const signed = await getSignedUrl(client, command, {
          expiresIn: downloadSeconds,
          signingDate: signingTime(Date.now()),
        });
        if (options.cdnBaseUrl === undefined) return signed;
        const { pathname, search } = new URL(signed);
        return `${options.cdnBaseUrl}${pathname}${search}`;
      }),
    sweep: () =>
      abortUploads(
        "",
        ({ key, startedAt }) =>
          /^[0-9a-f-]{36}\//.test(key) && startedAt.getTime() < Date.now() - staleMs,
      ),
    check: () =>
      ask(
        async ({ sdk, client }, sending) => {
          await client.send(new sdk.HeadBucketCommand({ Bucket }), sending);
        },
        { ms: 2_000 },
      ),
    close() {
      loading?.then(
        ({ client }) => client.destroy(),
        () => {},
      );
    },
  };
}

/** @throws if a response lacks what every S3 returns: it is from another kind of server */
function mustHave<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the response is not from an S3");
  return value;
}

/**
 * Parts of equal size except the last. S3 refuses empty parts, so none follows if the bytes end
 * with a full one.
 */
async function* partsOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, undefined> {
  let held: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    held.push(chunk);
    size += chunk.length;
    if (size < partBytes) continue;
    const all = Buffer.concat(held);
    let at = 0;
    for (; size - at >= partBytes; at += partBytes) yield all.subarray(at, at + partBytes);
    held = [all.subarray(at)];
    size -= at;
  }
  if (size > 0) yield Buffer.concat(held);
}

/** At most `bytes`, even if the S3 sends more. */
async function startOf(body: Readable, bytes: number): Promise<Buffer> {
  const read: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    read.push(chunk);
    size += chunk.length;
    if (size >= bytes) break;
  }
  return Buffer.concat(read).subarray(0, bytes);
}
