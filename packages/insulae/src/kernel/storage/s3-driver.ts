/**
 * Files in a bucket of an S3, Amazon's or another. Clients send to it and fetch from it by requests that
 * are signed here: this server's own bytes are those of uploads through it, which go on in parts as they
 * come, so that an upload of any size takes some ten megabytes of memory.
 *
 * The SDK is loaded when it is first used. No bucket is asked for anything but these objects, so that
 * the credentials need no more than GetObject, PutObject, DeleteObject, AbortMultipartUpload, ListBucket
 * and ListBucketMultipartUploads.
 */
import { Readable } from "node:stream";
import type { AwsSettings } from "../../config.channels.ts";
import type { S3Settings } from "../../config.ts";
import { AppError } from "../errors.ts";
import { storageFull, storageUnavailable } from "./errors.ts";
import { downloadSeconds, type StorageDriver, signingTime } from "./storage.ts";

export interface S3DriverOptions {
  readonly s3: S3Settings;
  readonly aws: AwsSettings;
  /** A CDN in front of the bucket. */
  readonly cdnBaseUrl: string | undefined;
}

/** Two at a time are in memory: one that is sent, and one that is coming. */
const partBytes = 5 * 1024 * 1024;
const staleMs = 86_400_000;

async function load({ s3, aws }: S3DriverOptions) {
  const [sdk, { Upload }, { createPresignedPost }, { getSignedUrl }] = await Promise.all([
    import("@aws-sdk/client-s3"),
    import("@aws-sdk/lib-storage"),
    import("@aws-sdk/s3-presigned-post"),
    import("@aws-sdk/s3-request-presigner"),
  ]);
  const client = new sdk.S3Client({
    ...(s3.region !== undefined && { region: s3.region }),
    ...(s3.endpoint !== undefined && { endpoint: s3.endpoint }),
    ...(aws.credentials && { credentials: aws.credentials }),
    forcePathStyle: s3.pathStyle,
    // Other servers than Amazon's know no checksums in trailers.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: { connectionTimeout: 5_000, requestTimeout: 60_000 },
  });
  return { sdk, client, Upload, createPresignedPost, getSignedUrl };
}

export function createS3Driver(options: S3DriverOptions): StorageDriver {
  const { bucket: Bucket } = options.s3;
  let loading: ReturnType<typeof load> | undefined;
  const opened = () => (loading ??= load(options));

  /** Whatever goes wrong there is no fault of the client's. */
  const ask = async <T>(work: (s3: Awaited<ReturnType<typeof load>>) => Promise<T>): Promise<T> => {
    try {
      return await work(await opened());
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw statusOf(error) === 507
        ? storageFull({ cause: error })
        : storageUnavailable({ cause: error, headers: { "retry-after": "5" } });
    }
  };

  async function* pages(prefix: string) {
    for (let token: string | undefined; ; ) {
      const { Contents = [], NextContinuationToken } = await ask(({ sdk, client }) =>
        client.send(
          new sdk.ListObjectsV2Command({ Bucket, Prefix: prefix, ContinuationToken: token }),
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
      await ask(async ({ sdk, client }) => {
        const { Errors = [] } = await client.send(
          new sdk.DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
        );
        if (Errors[0]) throw new Error(`${Errors[0].Code}: ${Errors[0].Message}`);
      });
    }
  };

  /** Gives up uploads in parts that nobody will end. */
  const abortParts = (wanted: (upload: { key: string; startedAt: Date }) => boolean) =>
    ask(async ({ sdk, client }) => {
      for (let next: { KeyMarker?: string; UploadIdMarker?: string } = {}; ; ) {
        const page = await client.send(new sdk.ListMultipartUploadsCommand({ Bucket, ...next }));
        for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
          if (Key === undefined || !wanted({ key: Key, startedAt: Initiated ?? new Date() }))
            continue;
          await client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
        }
        const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = page;
        if (!IsTruncated || NextKeyMarker === undefined) return;
        next = {
          KeyMarker: NextKeyMarker,
          ...(NextUploadIdMarker !== undefined && { UploadIdMarker: NextUploadIdMarker }),
        };
      }
    });

  return {
    async put(Key, bytes, ContentType) {
      let broken: { readonly error: unknown } | undefined;
      async function* noted() {
        try {
          yield* bytes;
        } catch (error) {
          broken = { error };
          throw error;
        }
      }
      const Body = Readable.from(noted(), { objectMode: false });
      try {
        await ask(({ client, Upload }) =>
          new Upload({
            client,
            params: { Bucket, Key, Body, ContentType },
            partSize: partBytes,
            queueSize: 1,
          }).done(),
        );
      } catch (error) {
        // What the client did wrong, or that it is gone, is said as it is.
        throw broken ? broken.error : error;
      } finally {
        Body.destroy();
      }
    },
    stat: (Key) =>
      ask(async ({ sdk, client }) => {
        const found = await client
          .send(new sdk.HeadObjectCommand({ Bucket, Key }))
          .catch(unless(404));
        return (
          found && {
            size: found.ContentLength ?? 0,
            type: found.ContentType,
            tag: found.ETag ?? "",
          }
        );
      }),
    start: (Key, bytes) =>
      ask(async ({ sdk, client }) => {
        const found = await client
          .send(new sdk.GetObjectCommand({ Bucket, Key, Range: `bytes=0-${bytes - 1}` }))
          .catch(unless(416)); // it is empty
        return Buffer.from((await found?.Body?.transformToByteArray()) ?? []);
      }),
    copy: (from, to, tag) =>
      ask(async ({ sdk, client }) => {
        const copied = await client
          .send(
            new sdk.CopyObjectCommand({
              Bucket,
              Key: to,
              CopySource: `${Bucket}/${from}`,
              CopySourceIfMatch: tag,
              ChecksumAlgorithm: "SHA256",
            }),
          )
          .catch(unless(404, 412));
        if (!copied) return undefined;
        const { ChecksumSHA256: sum, ChecksumType: kind } = copied.CopyObjectResult ?? {};
        const whole = sum !== undefined && kind !== "COMPOSITE";
        return { sha256: whole ? Buffer.from(sum, "base64").toString("hex") : null };
      }),
    delete: (...keys) => remove(keys),
    async *list(prefix) {
      for await (const page of pages(prefix)) yield* page;
    },
    async *folders() {
      for (let token: string | undefined; ; ) {
        const { CommonPrefixes = [], NextContinuationToken } = await ask(({ sdk, client }) =>
          client.send(
            new sdk.ListObjectsV2Command({ Bucket, Delimiter: "/", ContinuationToken: token }),
          ),
        );
        for (const { Prefix = "" } of CommonPrefixes) yield Prefix.slice(0, -1);
        token = NextContinuationToken;
        if (token === undefined) return;
      }
    },
    async deleteAll(prefix) {
      await abortParts(({ key }) => key.startsWith(prefix));
      for await (const page of pages(prefix)) await remove(page.map(({ key }) => key));
    },
    signUpload: (Key, { size, type, seconds }) =>
      ask(async ({ client, createPresignedPost }) => {
        const { url, fields } = await createPresignedPost(client, {
          Bucket,
          Key,
          // The key and all fields have to be as they are, and the file exactly so long.
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
      abortParts(
        ({ key, startedAt }) =>
          /^[0-9a-f-]{36}\//.test(key) && startedAt.getTime() < Date.now() - staleMs,
      ),
    close() {
      loading?.then(
        ({ client }) => client.destroy(),
        () => {},
      );
    },
  };
}

const statusOf = (error: unknown): unknown =>
  error instanceof Error && "$metadata" in error
    ? Reflect.get(Object(error.$metadata), "httpStatusCode")
    : undefined;

/** These answers mean that it is not there. */
const unless =
  (...statuses: readonly number[]) =>
  (error: unknown): undefined => {
    if (!statuses.includes(Number(statusOf(error)))) throw error;
  };
