import type { ApiError } from "./errors.ts";
import type { components } from "./schema.gen.ts";

export type SignedIn = components["schemas"]["SignedIn"];

export type SentHeaders = Readonly<Record<string, string>>;

/** How a client shows who calls: with tokens, or with a cookie and its CSRF token. */
export interface Session {
  /** Of a request: who calls, and for which tenant. @param change whether it is more than reading */
  headers(change: boolean): Promise<SentHeaders>;
  /** Goes on as whom the server has signed in. */
  keep(reply: Partial<SignedIn>): Promise<void>;
  /** @returns whether the request is worth another try, with other headers. */
  renew(refusal: ApiError, sent: SentHeaders): Promise<boolean>;
  /** Nobody is signed in any more. */
  forget(): Promise<void>;
  /** Aborted when the session ends, or another one takes its place. */
  signal(): AbortSignal;
}

/** What ends whatever was asked on behalf of one session, before another one begins. */
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
