/** The client: the typed calls, and the operations that need more than one call. */
import { type BearerSource, bearerSession } from "./bearer-session.ts";
import { type AnyCall, type CallOptions, createCall } from "./calls.ts";
import { cookieSession } from "./cookie-session.ts";
import { ApiError } from "./errors.ts";
import { type LogLine, type LogOptions, streamLogs } from "./log-stream.ts";
import { type Answered, createRequests } from "./requests.ts";
import { retrying } from "./retries.ts";
import type { components, paths } from "./schema.gen.ts";
import type { SignedIn } from "./session.ts";
import { inMemory, type TokenStorage } from "./storage.ts";
import { tokenSession } from "./token-session.ts";
import type { Below, Call, Each } from "./types.ts";

/** The API's schemas by name: `Schemas["Contact"]`. */
export type Schemas = components["schemas"];

export interface ClientOptions {
  /** The server's URL. Default: the page's origin. */
  readonly baseUrl?: string;
  /** The tenant to sign in to: key, id, slug or number. Not needed if the host names it. */
  readonly tenant?: string;
  /** Where to store tokens. Default: in memory. */
  readonly tokens?: TokenStorage;
  /**
   * `cookie`: in browsers, use a cookie that scripts can't read instead of tokens. An object gives access tokens
   * that were issued elsewhere, such as a tenant token.
   */
  readonly session?: "token" | "cookie" | BearerSource;
  /** Called when the session has ended without `signOut()`: show the log-in page. */
  readonly onSessionEnd?: () => void;
  /** The maximum number of retries of a request. Default: 2. */
  readonly retries?: number;
  /** Called after each response, those of retries and refreshes too. It should not throw. */
  readonly onAnswer?: (answered: Answered) => void;
}

interface UploadOptions {
  /** Default: the file's name. */
  readonly name?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/**
 * @template Paths for a server with features of its own: the types that openapi-typescript
 * generates
 */
export interface Client<Paths extends object = paths> {
  readonly get: Call<Below<Paths>, "get">;
  readonly post: Call<Below<Paths>, "post">;
  readonly put: Call<Below<Paths>, "put">;
  readonly patch: Call<Below<Paths>, "patch">;
  readonly delete: Call<Below<Paths>, "delete">;
  /** All items of a list, fetched page by page on demand. */
  readonly each: Each<Below<Paths>>;
  /** @throws ApiError `invalid_credentials`; `second_factor_required`, with `mfa_token` */
  signIn(credentials: Omit<Schemas["LogIn"], "session">): Promise<SignedIn>;
  /** Ends the session here and on the server. */
  signOut(): Promise<void>;
  /** @param file a `File` or `Blob`; it is streamed */
  upload(file: Blob, options?: UploadOptions): Promise<Schemas["File"]>;
  /** Streams the log line by line, until the signal aborts or the session ends. */
  logs(onLine: (line: LogLine) => void, options?: LogOptions): Promise<void>;
}

/**
 * Creates a client. It sends no request before the first call.
 *
 * @example
 * const client = createClient({ baseUrl: "https://acme.example.com" });
 * await client.signIn({ email, password });
 * for await (const contact of client.each("/contacts")) console.log(contact.name);
 */
export function createClient<Paths extends object = paths>({
  baseUrl: address = origin(),
  tenant,
  tokens: storage = inMemory(),
  session: kind = "token",
  onSessionEnd: onEnd = () => {},
  retries = 2,
  onAnswer,
}: ClientOptions = {}): Client<Paths> {
  const baseUrl = address.replace(/\/$/, "");
  const requests = createRequests({ baseUrl, cookies: kind === "cookie", onAnswer });

  // The OpenAPI document defines the types of these results.
  const lookUp = (headers: object) =>
    requests.send("get", "/auth/me", { headers }) as Promise<Partial<SignedIn>>;
  const refresh = (refresh_token: string) =>
    retrying({ retries, repeatable: true }, () =>
      requests.send("post", "/auth/refresh", { body: { refresh_token } }),
    ) as Promise<Partial<SignedIn>>;
  const sessionOf = () => {
    if (kind === "cookie") return cookieSession({ tenant, lookUp, onEnd });
    if (kind === "token") return tokenSession({ storage, tenant, refresh, onEnd });
    return bearerSession({ source: kind, tenant, onEnd });
  };
  const session = sessionOf();

  const call = createCall({ ...requests, session, retries });
  const [get, post] = [call("get"), call("post")];
  const client = {
    get,
    post,
    put: call("put"),
    patch: call("patch"),
    delete: call("delete"),
    each: (path: string, options?: CallOptions) => eachOf(get, path, options),

    async signIn(credentials: object) {
      await session.forget();
      const body = { ...credentials, ...(kind === "cookie" && { session: "cookie" }) };
      return post("/auth/login", { body });
    },

    async signOut() {
      try {
        await post("/auth/logout");
      } catch (error) {
        // The session had ended already.
        if (!(error instanceof ApiError && error.status === 401)) throw error;
      } finally {
        await session.forget();
      }
    },

    upload(file: Blob, { name, metadata, signal }: UploadOptions = {}) {
      const form = new FormData();
      form.set("file_size", String(file.size));
      if (metadata) form.set("metadata", JSON.stringify(metadata));
      // The server reads the form as a stream: metadata first, then the file.
      form.set("file", file, name ?? (file instanceof File ? file.name : "file"));
      return post("/files/upload", { body: form, ...(signal && { signal }) });
    },

    logs(onLine: (line: LogLine) => void, options: LogOptions = {}) {
      const ends = session.signal();
      const signal = options.signal ? AbortSignal.any([ends, options.signal]) : ends;
      const ticket = async () => {
        const made = await post("/logs/tickets", { signal });
        return (made as Schemas["LogTicket"]).ticket; // what the document says of it
      };
      return streamLogs({ ...options, signal, baseUrl, onLine, ticket });
    },
  };
  // The types of the calls are generated from the OpenAPI document and don't exist at run time.
  return client as unknown as Client<Paths>;
}

async function* eachOf(
  get: AnyCall,
  path: string,
  options: CallOptions = {},
): AsyncGenerator<unknown> {
  const { query, ...params } = options.params ?? {};
  let cursor: string | null = null;
  do {
    const next: object = cursor === null ? {} : { cursor };
    const page = (await get(path, {
      ...options,
      params: { ...params, query: { ...query, ...next } },
    })) as { readonly items: readonly unknown[]; readonly next_cursor: string | null }; // by `Each`
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor !== null);
}

/** The page's origin. Node's types don't know `location`. */
const origin = (): string =>
  (globalThis as { readonly location?: { readonly origin: string } }).location?.origin ?? "";
