/**
 * Serves the signed URLs of the local folder. Anybody who has one may use it, signed in or not.
 * Each is valid for one object and one direction, for a limited time, and only while its tenant is
 * active. S3 serves its own signed URLs.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { feature } from "../../kernel/feature/feature.ts";
import { mediaText } from "../../kernel/feature/fields.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { bytesBody } from "../../kernel/http/body/stream-body.ts";
import {
  entityTagOf,
  invalidEntityTag,
  isCurrent,
  preconditionFailed,
} from "../../kernel/http/reply/preconditions.ts";
import { notFound } from "../../kernel/lib/http-errors.ts";
import type { TenantId } from "../../kernel/lib/ids.ts";
import { mediaType } from "../../kernel/lib/media-type.ts";
import {
  rangeNotSatisfiable,
  signedUrlRefused,
  storageFull,
  uploadInProgress,
} from "../../kernel/storage/errors.ts";
import type { LocalFiles } from "../../kernel/storage/local-files.ts";
import { maxFileBytes } from "../../kernel/storage/storage.ts";

const maxGrantLength = 4_000;
const Grant = Type.Object({
  grant: Type.String({ maxLength: maxGrantLength, description: "The signed grant." }),
});
const Bytes = mediaText("*/*");

export const storageFeature = feature("storage", {
  routes: (r) => [
    r.get(
      "/storage",
      {
        permission: "public",
        context: "core",
        limit: "signed",
        summary: "Downloads a file by a signed URL",
        description:
          "Only if files are stored in a local folder. `GET /api/v1/files/{id}/download` issues the URL. A byte `Range` gets 206, unless `If-Range` differs from the file's `ETag`.",
        query: Grant,
        response: { 200: Bytes, 206: Bytes, 304: null },
        errors: [signedUrlRefused, rangeNotSatisfiable, preconditionFailed, invalidEntityTag],
      },
      async ({ platform, query, request, header, status }) => {
        const files = localFiles(platform);
        const { key, tenantId, type, disposition, expires } = files.download(query.grant);
        await mustBeActive(platform, tenantId);
        const { size, tag } = await files.stat(key);
        const etag = entityTagOf(tag);
        const seconds = Math.max(0, expires - Math.ceil(Date.now() / 1_000));
        const scope = platform.config.cdnBaseUrl === undefined ? "private" : "public";
        header("etag", etag);
        header("cache-control", `${scope}, max-age=${seconds}`);
        if (isCurrent(request.headers, etag)) {
          status(304);
          return undefined;
        }
        const isGet = request.method === "GET";
        const range = isGet ? rangeOf(request.headers, etag, size) : undefined;
        const [first, last] = range ?? [0, size - 1];
        if (range) {
          status(206);
          header("content-range", `bytes ${first}-${last}/${size}`);
        }
        header("content-type", type);
        header("content-disposition", disposition);
        header("content-length", String(last - first + 1));
        header("accept-ranges", "bytes");
        // Any site may embed it, and it can't run scripts in any of them.
        header("cross-origin-resource-policy", "cross-origin");
        header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox");
        return files.read(key, first, isGet ? last : first - 1);
      },
    ),

    r.put(
      "/storage",
      {
        permission: "public",
        context: "core",
        limit: "signed",
        audit: { none: "the file exists only once the upload is confirmed, which is audited" },
        summary: "Uploads a file by a signed URL",
        description:
          "Only if files are stored in a local folder. `POST /api/v1/files` issues the URL; the body is the file, with exactly the size and `Content-Type` given there.",
        query: Grant,
        body: bytesBody({ maxBytes: maxFileBytes }),
        response: { 204: null },
        errors: [signedUrlRefused, uploadInProgress, storageFull],
      },
      async ({ platform, query, body }) => {
        const files = localFiles(platform);
        const grant = files.upload(query.grant);
        await mustBeActive(platform, grant.tenantId);
        if (mediaType(body.type) !== grant.type || (body.length ?? grant.size) !== grant.size) {
          throw signedUrlRefused({ detail: "The URL was signed for a different type or size." });
        }
        await files.write(grant, body.bytes);
      },
    ),
  ],
});

/** The tenant of a valid signed URL, for the rate limits. */
export function signedFor({ storage }: Platform, { method, query }: FastifyRequest) {
  const { grant } = Object(query) as Readonly<Record<string, unknown>>; // nothing has validated it yet
  return typeof grant === "string" && grant.length <= maxGrantLength
    ? storage.local?.tenantOf(grant, method === "PUT" ? "PUT" : "GET")
    : undefined;
}

function localFiles({ storage }: Platform): LocalFiles {
  if (!storage.local) throw notFound();
  return storage.local;
}

async function mustBeActive(platform: Platform, tenantId: TenantId): Promise<void> {
  const tenant = await platform.tenants.find(tenantId);
  if (tenant?.status !== "active") throw signedUrlRefused();
}

/**
 * The requested range (RFC 9110, sections 13.1.5 and 14.2). Undefined means the whole file: also if
 * the header is malformed, asks for several ranges, or `If-Range` names another version. `If-Range`
 * dates and weak tags never match.
 */
function rangeOf(
  { range, "if-range": ifRange }: IncomingHttpHeaders,
  etag: string,
  size: number,
): readonly [number, number] | undefined {
  if (ifRange !== undefined && ifRange !== etag) return undefined;
  const [, from = "", to = ""] = /^bytes=(\d*)-(\d*)$/i.exec(range ?? "") ?? [];
  if (from === "" && to === "") return undefined;
  const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (from !== "" && to !== "" && Number(to) < first) return undefined;
  if (first > last) throw rangeNotSatisfiable({ headers: { "content-range": `bytes */${size}` } });
  return [first, last];
}
