/**
 * Where files are: a folder of this machine, or a bucket of an S3. Whoever works for a tenant gets that
 * tenant's part of it, and can name nothing outside: a key is the tenant's id and a name of the
 * server's making. What people call a file is in the database and never in a key.
 *
 * Bytes come from clients in two ways: through this server, which writes them as they come (`put`), or
 * straight to the storage by a signed request (`signUpload`). They go to clients by a signed URL.
 */

import type { TenantId } from "../tenancy/tenant.ts";
import type { StorageDriver } from "./driver.ts";
import type { LocalFiles } from "./local-files.ts";

/** A tenant's part of the storage. Names are like `0190…`, or `incoming/0190…`. */
export type TenantStorage = {
  readonly [Method in Exclude<
    keyof StorageDriver,
    "list" | "deleteAll" | "folders" | "sweep" | "check" | "close"
  >]: StorageDriver[Method];
} & {
  /** Names and their ages. */
  list(): AsyncIterable<{ readonly name: string; readonly changedAt: Date }>;
};

export interface Storage {
  of(tenant: { readonly id: TenantId }): TenantStorage;
  /** Deletes everything of a tenant's. */
  erase(tenant: TenantId): Promise<void>;
  /** Of whom there is anything. */
  tenants(): AsyncIterable<TenantId>;
  sweep(): Promise<void>;
  /** See `StorageDriver.check`; however often it is called, the storage is asked every 10 s at most. */
  readonly check: (() => Promise<void>) | undefined;
  /** What serves signed URLs here; absent where the storage does so itself. */
  readonly local: LocalFiles | undefined;
  close(): void;
}

/** The largest file that is taken. */
export const maxFileBytes = 100_000_000;

export function createStorage(driver: StorageDriver, local?: LocalFiles): Storage {
  return {
    local,
    sweep: driver.sweep,
    check: driver.check && atMostEvery(10_000, driver.check),
    close: driver.close,
    erase: (tenant) => driver.deleteAll(prefixOf(tenant)),
    async *tenants() {
      for await (const name of driver.folders()) {
        if (tenantName.test(name)) yield name as TenantId;
      }
    },
    of({ id }) {
      const prefix = prefixOf(id);
      const key = (name: string): string => {
        if (!/^[a-z0-9-]{1,100}(\/[a-z0-9-]{1,100})?$/.test(name)) {
          throw new TypeError("a name in the storage is of a-z, 0-9 and -, perhaps in one folder");
        }
        return prefix + name;
      };
      return {
        revokes: driver.revokes,
        put: (name, ...rest) => driver.put(key(name), ...rest),
        stat: (name) => driver.stat(key(name)),
        start: (name, bytes) => driver.start(key(name), bytes),
        copy: (from, to, tag) => driver.copy(key(from), key(to), tag),
        delete: (...names) => driver.delete(...names.map(key)),
        signUpload: (name, terms) => driver.signUpload(key(name), terms),
        signDownload: (name, terms) => driver.signDownload(key(name), terms),
        async *list() {
          for await (const { key, changedAt } of driver.list(prefix)) {
            yield { name: key.slice(prefix.length), changedAt };
          }
        },
      };
    },
  };
}

/** Within so many milliseconds, callers get what the first of them got. */
function atMostEvery<T>(ms: number, run: () => Promise<T>): () => Promise<T> {
  let since = Number.NEGATIVE_INFINITY;
  let last: Promise<T> | undefined;
  return () => {
    if (last && performance.now() - since < ms) return last;
    since = performance.now();
    last = run();
    return last;
  };
}
const tenantName = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** With the slash: no tenant's prefix begins with another's. */
function prefixOf(tenant: TenantId): string {
  if (!tenantName.test(tenant)) throw new TypeError("a tenant's id is a uuid");
  return `${tenant}/`;
}
