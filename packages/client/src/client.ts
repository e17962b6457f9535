/**
 * A typed call, from the outside in:
 *
 *   call ── retrying ── session: headers, a refresh where it takes one ── openapi-fetch ── fetch
 *
 * openapi-fetch makes a request of a path of the OpenAPI document and its parameters. It is made anew
 * for each try, so nothing that was sent has to be kept for the next one.
 */
import createFetchClient from "openapi-fetch";
import type { HttpMethod } from "openapi-typescript-helpers";
import { cookieSession } from "./cookie-session.ts";
import { ApiError, apiError } from "./errors.ts";
import { type LogLine, type LogOptions, streamLogs } from "./log-stream.ts";
import { apiPrefix } from "./paths.ts";
import { retrying } from "./retries.ts";
import { type components, createdOnce, type paths } from "./schema.gen.ts";
import type { SignedIn } from "./session.ts";
import { inMemory, type TokenStorage } from "./storage.ts";
import { tokenSession } from "./token-session.ts";
import type { Below, Call, Each } from "./types.ts";

/** The shapes of the API by their names: `Schemas["Contact"]`. */
export type Schemas = components["schemas"];

export interface ClientOptions {
  /** Where the server is. Default: where the page comes from. */
  readonly baseUrl?: string;
  /** The tenant whose users sign in: key, id, slug or number. Not needed where the host says it. */
  readonly tenant?: string;
  /** Where tokens are kept. Default: in memory. */
  readonly tokens?: TokenStorage;
  /** `cookie`: in browsers, with a cookie that scripts can't read, instead of tokens. */
  readonly session?: "token" | "cookie";
  /** Nobody is signed in any more, though nobody has called `signOut()`: show the way in again. */
  readonly onSessionEnd?: () => void;
  /** How often a request is tried again at most. Default: 2. */
  readonly retries?: number;
}

interface UploadOptions {
  /** Default: that of the file. */
  readonly name?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** @template Paths of a server with features of its own: what openapi-typescript makes of its document */
export interface Client<Paths extends object = paths> {
  readonly get: Call<Below<Paths>, "get">;
  readonly post: Call<Below<Paths>, "post">;
  readonly put: Call<Below<Paths>, "put">;
  readonly patch: Call<Below<Paths>, "patch">;
  readonly delete: Call<Below<Paths>, "delete">;
  /** All that a list has, page by page, as it is asked for. */
  readonly each: Each<Below<Paths>>;
  /** @throws ApiError `invalid_credentials`; `second_factor_required`, with `mfa_token` */
  signIn(credentials: Omit<Schemas["LogIn"], "session">): Promise<SignedIn>;
  /** Ends the session here, and at the server. */
  signOut(): Promise<void>;
  /** @param file a `File` or `Blob`, sent as it is read */
  upload(file: Blob, options?: UploadOptions): Promise<Schemas["File"]>;
  /** The log, line by line, until the signal or the session ends it. */
  logs(onLine: (line: LogLine) => void, options?: LogOptions): Promise<void>;
}

interface AnyOptions {
  readonly ifMatch?: object;
  readonly signal?: AbortSignal | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly params?: {
    readonly header?: Readonly<Record<string, string>>;
    readonly query?: Readonly<Record<string, unknown>>;
  };
  readonly body?: unknown;
}

/** Whose answers may sign somebody in: log-in, a second factor, a switch, another password, … */
const signsIn = /^\/(auth\/|invitations\/accept$)/;

type AnyCall = (path: string, options?: AnyOptions) => Promise<unknown>;

/**
 * Makes a client. Nothing is asked of the server before the first call.
 *
 * @example
 * const client = createClient({ baseUrl: "https://acme.example.com" });
 * await client.signIn({ email, password });
 * for await (const contact of client.each("/contacts")) console.log(contact.name);
 */
export function createClient<Paths extends object = paths>({
  baseUrl: address = origin(),
  tenant,
  tokens = inMemory(),
  session: kind = "token",
  onSessionEnd = () => {},
  retries = 2,
}: ClientOptions = {}): Client<Paths> {
  const baseUrl = address.replace(/\/$/, "");
  const api = createFetchClient<Record<string, Record<HttpMethod, object>>>({
    baseUrl: baseUrl + apiPrefix,
    bodySerializer,
    ...(kind === "cookie" && { credentials: "include" }),
  });
  const etags = new WeakMap<object, string>();

  /** Once, as it is. */
  async function send(
    method: HttpMethod,
    path: string,
    options: Record<string, unknown>,
  ): Promise<unknown> {
    const { data, error, response } = await api.request(method, path, options);
    if (!response.ok) throw apiError(response, error);
    const etag = response.headers.get("etag");
    if (etag !== null && isObject(data)) etags.set(data, etag);
    return data;
  }

  const session =
    kind === "cookie"
      ? cookieSession({ tenant, lookUp: () => call("get")("/auth/me"), onEnd: onSessionEnd })
      : tokenSession({
          storage: tokens,
          tenant,
          onEnd: onSessionEnd,
          refresh: (refresh_token) =>
            retrying({ retries, repeatable: true }, () =>
              send("post", "/auth/refresh", { body: { refresh_token } }),
            ) as Promise<Partial<SignedIn>>, // what the document says of it
        });

  const call =
    (method: HttpMethod): AnyCall =>
    async (path, { ifMatch, signal: given, headers, ...options } = {}) => {
      const ends = session.signal();
      const signal = given ? AbortSignal.any([ends, given]) : ends;
      const key =
        options.params?.header?.["Idempotency-Key"] ??
        (method === "post" && createdOnce.has(path) ? randomKey() : undefined);
      const own = {
        ...(key !== undefined && { "idempotency-key": key }),
        ...(ifMatch && { "if-match": etagOf(ifMatch) }),
        ...headers,
      };
      const attempt = async (sent: object) =>
        send(method, path, { ...options, signal, headers: { ...sent, ...own } });
      // Who signs in has nothing to be asked for yet.
      const change = method !== "get" && path !== "/auth/login";

      const repeatable = method === "get" || key !== undefined;
      let sent = await session.headers(change);
      const data = await retrying({ retries, repeatable, signal }, async () => {
        try {
          return await attempt(sent);
        } catch (error) {
          if (!(error instanceof ApiError && (await session.renew(error, sent)))) throw error;
          sent = await session.headers(change);
          return attempt(sent);
        }
      });
      if (signsIn.test(path) && isObject(data)) await session.keep(data);
      return data;
    };

  function etagOf(shown: object): string {
    const etag = etags.get(shown);
    if (etag === undefined)
      throw new TypeError("ifMatch takes what this client has read by its id");
    return etag;
  }

  async function* each(path: string, options: AnyOptions = {}): AsyncGenerator<unknown> {
    const { query, ...params } = options.params ?? {};
    let cursor: string | null = null;
    do {
      const next: object = cursor === null ? {} : { cursor };
      const page = (await call("get")(path, {
        ...options,
        params: { ...params, query: { ...query, ...next } },
      })) as { readonly items: readonly unknown[]; readonly next_cursor: string | null }; // by `Each`
      yield* page.items;
      cursor = page.next_cursor;
    } while (cursor !== null);
  }

  const client = {
    get: call("get"),
    post: call("post"),
    put: call("put"),
    patch: call("patch"),
    delete: call("delete"),
    each,

    async signIn(credentials: object) {
      await session.forget();
      const body = { ...credentials, ...(kind === "cookie" && { session: "cookie" }) };
      return call("post")("/auth/login", { body });
    },

    async signOut() {
      try {
        await call("post")("/auth/logout");
      } catch (error) {
        // Over already.
        if (!(error instanceof ApiError && error.status === 401)) throw error;
      } finally {
        await session.forget();
      }
    },

    upload(file: Blob, { name, metadata, signal }: UploadOptions = {}) {
      const form = new FormData();
      form.set("file_size", String(file.size));
      if (metadata) form.set("metadata", JSON.stringify(metadata));
      // The server reads the form as it comes: what is said of the file first, then its bytes.
      form.set("file", file, name ?? (file instanceof File ? file.name : "file"));
      return call("post")("/files/upload", { body: form, ...(signal && { signal }) });
    },

    logs(onLine: (line: LogLine) => void, options: LogOptions = {}) {
      const ends = session.signal();
      const signal = options.signal ? AbortSignal.any([ends, options.signal]) : ends;
      const ticket = async () => {
        const made = await call("post")("/logs/tickets", { signal });
        return (made as Schemas["LogTicket"]).ticket; // what the document says of it
      };
      return streamLogs({ ...options, signal, baseUrl, onLine, ticket });
    },
  };
  // The types of calls come from the document, which is not there while it runs.
  return client as unknown as Client<Paths>;
}

/** Of the page; Node's types know of none. */
const origin = (): string =>
  (globalThis as { readonly location?: { readonly origin: string } }).location?.origin ?? "";

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** JSON of objects; forms, files and text as they are. */
const bodySerializer = (body: unknown): unknown =>
  typeof body === "string" || body instanceof FormData || body instanceof Blob
    ? body
    : JSON.stringify(body);

/** 128 random bits. (`randomUUID` is missing where a page came without TLS.) */
const randomKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
