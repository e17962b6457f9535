/**
 * Where files are: a folder of this machine, or a bucket of an S3. Whoever works for a tenant gets that
 * tenant's part of it, and can name nothing outside: a key is the tenant's id and a name of the
 * server's making. What people call a file is in the database and never in a key.
 *
 * Bytes come from clients in two ways: through this server, which writes them as they come (`put`), or
 * straight to the storage by a signed request (`signUpload`). They go to clients by a signed URL.
 */
import type { TenantId } from "../tenancy/tenant.ts";
import type { LocalFiles } from "./local-files.ts";

export interface StoredObject {
  readonly size: number;
  /** Undefined where the storage keeps none. */
  readonly type: string | undefined;
  /** Another one whenever the object is replaced. */
  readonly tag: string;
}

/** What a client has to send to put an object where it belongs. */
export interface SignedUpload {
  readonly method: "POST" | "PUT";
  readonly url: string;
  /** Of a PUT, whose body is the bytes. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of a POST, whose body is a form of these, and then the part `file`. */
  readonly fields: Readonly<Record<string, string>>;
  readonly expiresAt: Date;
}

export interface UploadTerms {
  /** The only size that is taken. */
  readonly size: number;
  readonly type: string;
  readonly seconds: number;
}

export interface DownloadTerms {
  /** The headers that the bytes come with. */
  readonly type: string;
  readonly disposition: string;
}

/** What a driver does; a key is `<tenant>/<name>`. */
export interface StorageDriver {
  /**
   * Whether `delete` also ends what `signUpload` signed for the key. Where it doesn't, bytes may still
   * come until the request expires.
   */
  readonly revokes: boolean;
  /**
   * It is all there when this is done, or nothing is.
   *
   * @param signal aborts when nobody will send the rest of the bytes.
   * @throws storageFull, or what `bytes` throws
   */
  put(
    key: string,
    bytes: AsyncIterable<Uint8Array>,
    type: string,
    signal?: AbortSignal,
  ): Promise<void>;
  stat(key: string): Promise<StoredObject | undefined>;
  /** The first so many bytes; undefined: it is not there. */
  start(key: string, bytes: number): Promise<Buffer | undefined>;
  /**
   * Makes `to` what `from` is.
   *
   * @param tag what `from` has to be; if it was replaced meanwhile, nothing is copied.
   * @returns the SHA-256 in hexadecimal, if the storage tells; undefined: nothing was copied.
   */
  copy(from: string, to: string, tag: string): Promise<{ sha256: string | null } | undefined>;
  /** What is not there is no error. */
  delete(...keys: readonly string[]): Promise<void>;
  /** Keys and their ages. */
  list(prefix: string): AsyncIterable<{ readonly key: string; readonly changedAt: Date }>;
  deleteAll(prefix: string): Promise<void>;
  /** The first parts of the keys that there are, each once. */
  folders(): AsyncIterable<string>;
  signUpload(key: string, terms: UploadTerms): Promise<SignedUpload>;
  /** @returns a URL that is good for at most an hour, and the same one for some minutes. */
  signDownload(key: string, terms: DownloadTerms): Promise<string>;
  /** Removes what uploads left that never ended. */
  sweep(): Promise<void>;
  /** Fails if the storage does not answer. Absent where it is this machine's own. */
  readonly check?: () => Promise<void>;
  close(): void;
}

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

/** How long a signed URL of a download is good, at most. */
export const downloadSeconds = 3_600;

/**
 * The beginning of the quarter of an hour. URLs that are signed within it are the same, so that
 * browsers and a CDN know them again.
 */
export const signingTime = (now: number): Date => new Date(Math.floor(now / 900_000) * 900_000);

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
