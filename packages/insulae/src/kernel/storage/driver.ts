export interface StoredObject {
  readonly size: number;
  /** Undefined if the storage does not record it. */
  readonly type: string | undefined;
  /** Changes whenever the object is replaced. */
  readonly tag: string;
}

/** The request by which a client uploads an object. */
export interface SignedUpload {
  readonly method: "POST" | "PUT";
  readonly url: string;
  /** For PUT, with the content as the body. */
  readonly headers: Readonly<Record<string, string>>;
  /** For POST: the form's fields, which precede the part `file`. */
  readonly fields: Readonly<Record<string, string>>;
  readonly expiresAt: Date;
}

export interface UploadTerms {
  /** The exact size that is accepted. */
  readonly size: number;
  readonly type: string;
  readonly seconds: number;
}

export interface DownloadTerms {
  /** The headers of the download. */
  readonly type: string;
  readonly disposition: string;
}

/** The interface of drivers. A key is `<tenant>/<name>`. */
export interface StorageDriver {
  /**
   * Whether `delete` also revokes what `signUpload` signed for the key. Otherwise bytes may still
   * arrive until the request expires.
   */
  readonly revokes: boolean;
  /**
   * Stores an object completely or not at all.
   *
   * @param signal aborts if the client will not send the rest
   * @throws storageFull, or the error of `bytes`
   */
  put(
    key: string,
    bytes: AsyncIterable<Uint8Array>,
    type: string,
    signal?: AbortSignal,
  ): Promise<void>;
  stat(key: string): Promise<StoredObject | undefined>;
  /** The first bytes; undefined if the object does not exist. */
  start(key: string, bytes: number): Promise<Buffer | undefined>;
  /**
   * Copies `from` to `to`.
   *
   * @param tag the expected tag of `from`; if it was replaced meanwhile, nothing is copied
   * @returns the SHA-256 in hexadecimal if the storage has it; undefined if nothing was copied
   */
  copy(from: string, to: string, tag: string): Promise<{ sha256: string | null } | undefined>;
  /** Missing objects are no error. */
  delete(...keys: readonly string[]): Promise<void>;
  /** Keys and their modification times. */
  list(prefix: string): AsyncIterable<{ readonly key: string; readonly changedAt: Date }>;
  deleteAll(prefix: string): Promise<void>;
  /** The distinct first segments of all keys. */
  folders(): AsyncIterable<string>;
  signUpload(key: string, terms: UploadTerms): Promise<SignedUpload>;
  /** @returns a URL that is valid for at most an hour, and stays the same for some minutes */
  signDownload(key: string, terms: DownloadTerms): Promise<string>;
  /** Deletes the remains of uploads that never completed. */
  sweep(): Promise<void>;
  /** Fails if the storage does not respond. Absent for a local folder. */
  readonly check?: () => Promise<void>;
  close(): void;
}

/** How long a signed download URL is valid, at most. */
export const downloadSeconds = 3_600;

/**
 * Rounds down to a quarter of an hour. URLs signed within it are identical, so browsers and CDNs
 * can cache them.
 */
export const signingTime = (now: number): Date => new Date(Math.floor(now / 900_000) * 900_000);
