/**
 * The signed URLs of the local folder. Whoever has one may use it, signed in or not; it is good for one
 * object, one way, a while, and as long as its tenant is. An S3 answers its own.
 */
import { Type } from "typebox";
import { feature } from "../feature.ts";
import { notFound } from "../http/errors.ts";
import { bytesBody } from "../http/stream-body.ts";
import type { Platform } from "../platform.ts";
import type { TenantId } from "../tenancy/tenant.ts";
import { rangeNotSatisfiable, signedUrlRefused, storageFull } from "./errors.ts";
import type { LocalFiles } from "./local-files.ts";
import { maxFileBytes } from "./storage.ts";

const Grant = Type.Object({
  grant: Type.String({ maxLength: 4_000, description: "What the URL was signed for." }),
});
const Bytes = Type.String({ contentMediaType: "*/*" });

export const storageFeature = feature("storage", {
  routes: (r) => [
    r.get(
      "/storage",
      {
        permission: "public",
        context: "core",
        summary: "Gives a file to whoever has its signed URL",
        description:
          "Where files are in a local folder. The URL comes from `GET /api/v1/files/{id}/download`. A `Range` of bytes is answered with 206.",
        query: Grant,
        response: { 200: Bytes, 206: Bytes },
        errors: [signedUrlRefused, rangeNotSatisfiable],
      },
      async ({ platform, query, request, header, status }) => {
        const files = localFiles(platform);
        const { key, tenantId, type, disposition, expires } = files.download(query.grant);
        await mustBeActive(platform, tenantId);
        const size = await files.size(key);
        const range = rangeOf(request.headers.range, size);
        const [first, last] = range ?? [0, size - 1];
        if (range) {
          status(206);
          header("content-range", `bytes ${first}-${last}/${size}`);
        }
        const seconds = Math.max(0, expires - Math.ceil(Date.now() / 1_000));
        const scope = platform.config.cdnBaseUrl === undefined ? "private" : "public";
        header("content-type", type);
        header("content-disposition", disposition);
        header("content-length", String(last - first + 1));
        header("accept-ranges", "bytes");
        header("cache-control", `${scope}, max-age=${seconds}`);
        // It may be shown in pages of anybody's, and run nothing in any.
        header("cross-origin-resource-policy", "cross-origin");
        header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox");
        return files.read(key, first, last);
      },
    ),

    r.put(
      "/storage",
      {
        permission: "public",
        context: "core",
        audit: { none: "nothing is there before the upload is confirmed, which is audited" },
        summary: "Takes a file from whoever has a signed URL for it",
        description:
          "Where files are in a local folder. The URL comes from `POST /api/v1/files`; the body is the file, of exactly the size and `Content-Type` that were given there.",
        query: Grant,
        body: bytesBody({ maxBytes: maxFileBytes }),
        response: { 204: null },
        errors: [signedUrlRefused, storageFull],
      },
      async ({ platform, query, body }) => {
        const files = localFiles(platform);
        const grant = files.upload(query.grant);
        await mustBeActive(platform, grant.tenantId);
        if (body.type !== grant.type || (body.length ?? grant.size) !== grant.size) {
          throw signedUrlRefused({ detail: "It was signed for another type or size" });
        }
        await files.write(grant, body.bytes);
      },
    ),
  ],
});

function localFiles({ storage }: Platform): LocalFiles {
  if (!storage.local) throw notFound();
  return storage.local;
}

async function mustBeActive(platform: Platform, tenantId: TenantId): Promise<void> {
  const tenant = await platform.tenants.find(tenantId);
  if (tenant?.status !== "active") throw signedUrlRefused();
}

/**
 * The one range that is asked for (RFC 9110, section 14.2); undefined: all of it, also where the
 * header is not understood or asks for several.
 */
function rangeOf(text: unknown, size: number): readonly [number, number] | undefined {
  const [, from = "", to = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(String(text)) ?? [];
  if (from === "" && to === "") return undefined;
  const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (from !== "" && to !== "" && Number(to) < first) return undefined;
  if (first > last) throw rangeNotSatisfiable({ headers: { "content-range": `bytes */${size}` } });
  return [first, last];
}
