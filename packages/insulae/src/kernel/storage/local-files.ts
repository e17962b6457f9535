/** Serves the local folder's objects to holders of signed URLs. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { bodyTooLarge } from "../lib/http-errors.ts";
import type { TenantId } from "../lib/ids.ts";
import type { StoredObject } from "./driver.ts";
import { signedUrlRefused } from "./errors.ts";
import type { DownloadGrant, Grants, UploadGrant } from "./grants.ts";
import type { LocalDriver } from "./local-driver.ts";

export interface LocalFiles {
  /** The tenant of a grant; undefined if the grant is invalid. */
  readonly tenantOf: (grant: string, method: "GET" | "PUT") => TenantId | undefined;
  /** @throws signedUrlRefused */
  readonly download: (grant: string) => DownloadGrant & { readonly tenantId: TenantId };
  /** @throws signedUrlRefused */
  readonly upload: (grant: string) => UploadGrant & { readonly tenantId: TenantId };
  /** @param key from a grant. @throws signedUrlRefused if the object no longer exists */
  readonly stat: (key: string) => Promise<StoredObject>;
  /** The bytes from `first` to `last`, inclusive. */
  readonly read: (key: string, first: number, last: number) => AsyncGenerator<Buffer>;
  /** @throws bodyTooLarge, incompleteUpload if the size differs */
  readonly write: (grant: UploadGrant, bytes: AsyncIterable<Buffer>) => Promise<void>;
}

export interface LocalFilesOptions {
  readonly folder: string;
  readonly grants: Grants;
  readonly driver: Pick<LocalDriver, "receive" | "stat">;
}

const tenantOfKey = (key: string): TenantId => key.slice(0, key.indexOf("/")) as TenantId;

const pieceBytes = 65_536;

export function createLocalFiles({ folder, grants, driver }: LocalFilesOptions): LocalFiles {
  const pathOf = (key: string): string => join(folder, ...key.split("/"));
  const readGrant = <Method extends "GET" | "PUT">(text: string, method: Method) => {
    const grant = grants.read(text, method);
    if (!grant) throw signedUrlRefused();
    return { ...grant, tenantId: tenantOfKey(grant.key) };
  };
  return {
    tenantOf(text, method) {
      const grant = grants.read(text, method);
      return grant && tenantOfKey(grant.key);
    },
    download: (text) => readGrant(text, "GET"),
    upload: (text) => readGrant(text, "PUT"),
    async stat(key) {
      const found = await driver.stat(key);
      if (!found) throw signedUrlRefused();
      return found;
    },
    // Opened on the first read, so an unread response leaves nothing open.
    async *read(key, first, last) {
      const file = await open(pathOf(key));
      try {
        for (let at = first; at <= last; ) {
          const length = Math.min(pieceBytes, last - at + 1);
          const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, at);
          if (bytesRead === 0) throw new Error("the file has been shortened");
          at += bytesRead;
          yield buffer.subarray(0, bytesRead);
        }
      } finally {
        await file.close();
      }
    },
    write: ({ key, size }, bytes) => driver.receive(key, exactly(size, bytes)),
  };
}

/** Yields the bytes; throws unless there are exactly `size`. */
async function* exactly(size: number, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let seen = 0;
  for await (const chunk of bytes) {
    seen += chunk.length;
    if (seen > size) throw bodyTooLarge({ detail: "The file is larger than the signed size." });
    yield chunk;
  }
  if (seen < size) throw signedUrlRefused({ detail: "The file is smaller than the signed size." });
}
