/**
 * A session with tokens. Only one refresh runs at a time: everybody who needs new tokens waits for
 * it, in this page and, if the storage supports it, in others. Before presenting a refresh token it
 * checks whether another tab has replaced it, because presenting an old one ends the session.
 *
 *   headers() ── ends soon? ──► refresh ──► save, if nobody has signed out or switched meanwhile
 *   401 invalid_token ─────────► refresh ──► once more      refused? nobody is signed in any more
 */
import { ApiError } from "./errors.ts";
import { createTerm, type Session, type SignedIn } from "./session.ts";
import type { TokenStorage, Tokens } from "./storage.ts";

interface TokenSessionOptions {
  readonly storage: TokenStorage;
  /** The tenant to sign in to, if the host doesn't name it. */
  readonly tenant: string | undefined;
  readonly refresh: (refreshToken: string) => Promise<Partial<SignedIn>>;
  readonly onEnd: () => void;
}

export function tokenSession({ storage, tenant, refresh, onEnd }: TokenSessionOptions): Session {
  const term = createTerm();
  /** The user that this client acts for. Tabs share the storage, but not this. */
  let userId: string | undefined;
  let renewing: Promise<void> | undefined;

  function end(): void {
    userId = undefined;
    term.end();
    onEnd();
  }

  /** @throws AbortError if another tab has signed out, or signed in as somebody else */
  async function load(): Promise<Tokens | undefined> {
    const signal = term.signal();
    const tokens = await storage.load();
    signal.throwIfAborted();
    if (userId !== undefined && tokens?.userId !== userId) {
      end();
      signal.throwIfAborted();
    }
    userId = tokens?.userId;
    return tokens;
  }

  /** @param stale the access token that was refused */
  async function exchange(stale: string): Promise<void> {
    const tokens = await load();
    if (tokens?.accessToken !== stale || tokens.refreshToken === undefined) return;
    const { refreshToken } = tokens;
    const unchanged = async () => (await storage.load())?.refreshToken === refreshToken;
    try {
      const next = tokensOf(await refresh(refreshToken));
      if (await unchanged()) await storage.save(next);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401 && (await unchanged())) {
        await storage.save(undefined);
        end();
      }
      throw error;
    }
  }

  function renew(stale: string): Promise<void> {
    const alone = storage.alone ?? ((work) => work());
    renewing ??= alone(() => exchange(stale)).finally(() => {
      renewing = undefined;
    });
    return renewing;
  }

  return {
    signal: term.signal,

    async headers() {
      let tokens = await load();
      if (tokens?.refreshToken !== undefined && tokens.renewAt < Date.now()) {
        await renew(tokens.accessToken);
        tokens = await load();
      }
      const where = tokens ? tokens.tenant : tenant;
      return {
        ...(tokens && { authorization: `Bearer ${tokens.accessToken}` }),
        // The token says so too; if they differed, the server would refuse.
        ...(where && { "x-tenant": where }),
      };
    },

    async keep(reply) {
      const tokens = tokensOf(reply);
      if (!tokens) return;
      if (userId !== undefined && userId !== tokens.userId) term.end();
      userId = tokens.userId;
      await storage.save(tokens);
    },

    async renew({ code }, { authorization }) {
      if (code !== "invalid_token" || authorization === undefined) return false;
      const stale = authorization.slice("Bearer ".length);
      const tokens = await load();
      if (tokens?.accessToken === stale && tokens.refreshToken === undefined) {
        await storage.save(undefined);
        end();
        return false;
      }
      await renew(stale);
      return (await load()) !== undefined;
    },

    async forget() {
      userId = undefined;
      term.end();
      await storage.save(undefined);
    },
  };
}

function tokensOf(reply: Partial<SignedIn>): Tokens | undefined {
  const { access_token, refresh_token, expires_in, user, tenant } = reply;
  if (access_token === undefined || expires_in === undefined || !user) return undefined;
  return {
    accessToken: access_token,
    ...(refresh_token !== undefined && { refreshToken: refresh_token }),
    // Early enough that the token is still valid when a slow request arrives.
    renewAt: Date.now() + (expires_in - Math.min(30, expires_in / 4)) * 1000,
    userId: user.id,
    tenant: tenant?.key ?? null,
  };
}
