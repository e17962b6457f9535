/** Storage of a session's tokens between requests. */

/** The tokens of a session. */
export interface Tokens {
  readonly accessToken: string;
  /** Absent if the session can't be refreshed. */
  readonly refreshToken?: string;
  /**
   * When to refresh, shortly before the access token expires: milliseconds, by this machine's
   * clock.
   */
  readonly renewAt: number;
  /** The user's id. A user belongs to one tenant, so it distinguishes tenants too. */
  readonly userId: string;
  /** The tenant's key; null: the platform. */
  readonly tenant: string | null;
}

type Maybe<T> = T | Promise<T>;

export interface TokenStorage {
  load(): Maybe<Tokens | undefined>;
  save(tokens: Tokens | undefined): Maybe<void>;
  /** Runs the work while no other client with the same storage runs its own. */
  alone?<T>(work: () => Promise<T>): Promise<T>;
}

/** Lasts until the page is left or the process ends. */
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
 * The browser's `localStorage` (shared by all tabs of the origin) or `sessionStorage` (one tab).
 * Scripts of the page can read it; if that is not acceptable, use cookies. Tabs refresh one at a
 * time (Web Locks), so that none presents a token that another tab has replaced.
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
    // Missing on pages loaded without TLS. Tabs may also see each other's changes a moment late;
    // then both present the same token, and the server gives both the same successor.
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
