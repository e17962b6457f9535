/** Where the tokens of a session are kept between requests. */

/** What keeps somebody signed in, where tokens do. */
export interface Tokens {
  readonly accessToken: string;
  /** Absent where the session can't be prolonged. */
  readonly refreshToken?: string;
  /** When to refresh, shortly before the access token ends: milliseconds, by this machine's clock. */
  readonly renewAt: number;
  /** Whose they are. A user is of one tenant, so this tells one tenant's from another's as well. */
  readonly userId: string;
  /** The tenant's key; null: of the platform itself. */
  readonly tenant: string | null;
}

type Maybe<T> = T | Promise<T>;

export interface TokenStorage {
  load(): Maybe<Tokens | undefined>;
  save(tokens: Tokens | undefined): Maybe<void>;
  /** Runs it while nobody else who shares the storage runs theirs. */
  alone?<T>(work: () => Promise<T>): Promise<T>;
}

/** Until the page is left, or the process ends. */
export function inMemory(): TokenStorage {
  let kept: Tokens | undefined;
  return {
    load: () => kept,
    save: (tokens) => {
      kept = tokens;
    },
  };
}

interface WebStorage {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

/**
 * In the browser's `localStorage` (all tabs of the origin are signed in) or `sessionStorage` (one tab).
 * Scripts of the page can read it: where that is too much, use cookies. Tabs refresh one at a time
 * (Web Locks), so that none shows a token which another has replaced.
 *
 * @example
 * createClient({ tokens: inStorage(localStorage) })
 */
export function inStorage(storage: WebStorage, name = "insulae"): TokenStorage {
  const locks = globalThis.navigator?.locks;
  return {
    load: () => read(storage.getItem(name)),
    save: (tokens) =>
      tokens ? storage.setItem(name, JSON.stringify(tokens)) : storage.removeItem(name),
    // Not there where the page came without TLS. And browsers show one tab what another has saved a
    // moment late: then both show the same token, and the server gives both the same successor.
    ...(locks && { alone: (work) => locks.request(name, work) }),
  };
}

function read(text: string | null): Tokens | undefined {
  try {
    return JSON.parse(text ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}
