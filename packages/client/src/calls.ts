/**
 * A call, from the outside in:
 *
 *   call ── retrying ── session: headers, a refresh where it takes one ── send
 *
 * The request is made anew for each try, so nothing that was sent has to be kept for the next one.
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

/** What the typed calls are at run time. */
export type AnyCall = (path: string, options?: CallOptions) => Promise<unknown>;

interface Setting extends Requests {
  readonly session: Session;
  readonly retries: number;
}

/** Whose answers may sign somebody in: log-in, a second factor, a switch, another password, … */
const signsIn = /^\/(auth\/|invitations\/accept$)/;

export const createCall =
  ({ send, etagOf, session, retries }: Setting) =>
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
    // Who signs in has nothing to be asked for yet.
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

/** 128 random bits. (`randomUUID` is missing where a page came without TLS.) */
const randomKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
