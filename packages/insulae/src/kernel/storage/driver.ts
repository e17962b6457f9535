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

/** How long a signed URL of a download is good, at most. */
export const downloadSeconds = 3_600;

/**
 * The beginning of the quarter of an hour. URLs that are signed within it are the same, so that
 * browsers and a CDN know them again.
 */
export const signingTime = (now: number): Date => new Date(Math.floor(now / 900_000) * 900_000);
