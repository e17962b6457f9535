/**
 * The layers of a call, from the outside in:
 *
 *   call ── retrying ── session: headers, refresh if necessary ── send
 *
 * Each attempt builds a new request, so nothing has to be kept from the previous one.
 */
import type { HttpMethod } from "openapi-typescript-helpers";
import { ApiError } from "./errors.ts";
import { isObject, type Requests } from "./requests.ts";
import { retrying } from "./retries.ts";
import { createdOnce } from "./schema.gen.ts";
import type { Session } from "./session.ts";

export interface CallOptions {
  readonly ifMatch?: object;
  readonly signal?: AbortSignal | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly params?: {
    readonly header?: Readonly<Record<string, string>>;
    readonly query?: Readonly<Record<string, unknown>>;
  };
  readonly body?: unknown;
}

/** The typed calls at run time. */
export type AnyCall = (path: string, options?: CallOptions) => Promise<unknown>;

interface CallDeps extends Requests {
  readonly session: Session;
  readonly retries: number;
}

/**
 * Paths whose responses may sign somebody in: log-in, second factor, tenant switch, new password, …
 */
const signsIn = /^\/(auth\/|invitations\/accept$)/;

export const createCall =
  ({ send, etagOf, session, retries }: CallDeps) =>
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
    // A log-in needs no CSRF token: there is no session yet.
    const change = method !== "get" && path !== "/auth/login";
    const repeatable = method === "get" || key !== undefined;

    let sent = await session.headers(change);
    const attempt = () => send(method, path, { ...options, signal, headers: { ...sent, ...own } });
    const data = await retrying({ retries, repeatable, signal }, async () => {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof ApiError && (await session.renew(error, sent)))) throw error;
        sent = await session.headers(change);
        return attempt();
      }
    });
    if (signsIn.test(path) && isObject(data)) await session.keep(data);
    return data;
  };

/** 128 random bits. (`randomUUID` is missing on pages loaded without TLS.) */
const randomKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
