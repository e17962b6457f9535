import type { ApiError } from "./errors.ts";
import type { components } from "./schema.gen.ts";

export type SignedIn = components["schemas"]["SignedIn"];

export type SentHeaders = Readonly<Record<string, string>>;

/** How a client authenticates: with tokens, or with a cookie and its CSRF token. */
export interface Session {
  /** The request's authentication headers. @param change whether the request changes something */
  headers(change: boolean): Promise<SentHeaders>;
  /** Stores the session that the server has opened. */
  keep(reply: Partial<SignedIn>): Promise<void>;
  /** @returns whether to retry the request with new headers */
  renew(refusal: ApiError, sent: SentHeaders): Promise<boolean>;
  /** Forgets the session. */
  forget(): Promise<void>;
  /** Aborts when the session ends or is replaced. */
  signal(): AbortSignal;
}

/** Aborts the requests of one session before another one begins. */
export function createTerm() {
  let controller = new AbortController();
  return {
    signal: () => controller.signal,
    end: () => {
      controller.abort(new DOMException("The session has ended", "AbortError"));
      controller = new AbortController();
    },
  };
}
