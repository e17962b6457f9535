/**
 * A session with a cookie that scripts can't read. Requests that change something need its CSRF
 * token, which is fetched once after the page was loaded, and again when another tab has opened a
 * new session.
 */
import { createTerm, type SentHeaders, type Session, type SignedIn } from "./session.ts";

interface CookieSessionOptions {
  readonly tenant: string | undefined;
  /** `GET /auth/me`. */
  readonly lookUp: (headers: SentHeaders) => Promise<Partial<SignedIn>>;
  readonly onEnd: () => void;
}

export function cookieSession({ tenant, lookUp, onEnd }: CookieSessionOptions): Session {
  const term = createTerm();
  let known: { readonly csrf: string; readonly userId: string } | undefined;
  let where = tenant;
  let lookingUp: Promise<unknown> | undefined;

  function forget(): void {
    known = undefined;
    where = tenant;
    term.end();
  }

  const place = (): SentHeaders => (where ? { "x-tenant": where } : {});

  async function keep({ csrf_token, user, tenant }: Partial<SignedIn>): Promise<void> {
    if (csrf_token === undefined || !user) return;
    if (known && known.userId !== user.id) term.end();
    known = { csrf: csrf_token, userId: user.id };
    where = tenant?.key;
  }

  return {
    signal: term.signal,
    keep,

    async headers(change) {
      if (change && !known) {
        lookingUp ??= lookUp(place())
          .then(keep)
          // Without a session there is no CSRF token, and none is needed.
          .catch(() => {})
          .finally(() => {
            lookingUp = undefined;
          });
        await lookingUp;
      }
      return { ...place(), ...(change && known && { "x-csrf-token": known.csrf }) };
    },

    async renew({ code }) {
      const signedIn = known !== undefined;
      if (code === "csrf_refused") known = undefined;
      if (signedIn && (code === "authentication_required" || code === "invalid_token")) {
        forget();
        onEnd();
      }
      return code === "csrf_refused" && signedIn;
    },

    forget: async () => forget(),
  };
}
