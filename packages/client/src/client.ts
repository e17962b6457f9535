/** What an application holds: the calls, typed, and what is more than a call. */
import { type AnyCall, type CallOptions, createCall } from "./calls.ts";
import { cookieSession } from "./cookie-session.ts";
import { ApiError } from "./errors.ts";
import { type LogLine, type LogOptions, streamLogs } from "./log-stream.ts";
import { createRequests } from "./requests.ts";
import { retrying } from "./retries.ts";
import type { components, paths } from "./schema.gen.ts";
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
  tokens: storage = inMemory(),
  session: kind = "token",
  onSessionEnd: onEnd = () => {},
  retries = 2,
}: ClientOptions = {}): Client<Paths> {
  const baseUrl = address.replace(/\/$/, "");
  const requests = createRequests(baseUrl, kind === "cookie");

  // What these two give, the document says.
  const lookUp = (headers: object) =>
    requests.send("get", "/auth/me", { headers }) as Promise<Partial<SignedIn>>;
  const refresh = (refresh_token: string) =>
    retrying({ retries, repeatable: true }, () =>
      requests.send("post", "/auth/refresh", { body: { refresh_token } }),
    ) as Promise<Partial<SignedIn>>;
  const session =
    kind === "cookie"
      ? cookieSession({ tenant, lookUp, onEnd })
      : tokenSession({ storage, tenant, refresh, onEnd });

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
  // The types of calls come from the document, which is not there while it runs.
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

/** Of the page; Node's types know of none. */
const origin = (): string =>
  (globalThis as { readonly location?: { readonly origin: string } }).location?.origin ?? "";
