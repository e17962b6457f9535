/**
 * A session by a cookie that scripts can't read. Changes need its CSRF token, which is asked for once
 * after the page was loaded, and again when another tab has signed in anew.
 */
import { createTerm, type Session, type SignedIn } from "./session.ts";

interface CookieSessionOptions {
  readonly tenant: string | undefined;
  /** `GET /auth/me`; its reply comes to `keep`. */
  readonly lookUp: () => Promise<unknown>;
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

  return {
    signal: term.signal,

    async headers(change) {
      if (change && !known) {
        // Whoever is not signed in has none, and needs none.
        lookingUp ??= lookUp()
          .catch(() => {})
          .finally(() => {
            lookingUp = undefined;
          });
        await lookingUp;
      }
      return {
        ...(change && known && { "x-csrf-token": known.csrf }),
        ...(where && { "x-tenant": where }),
      };
    },

    async keep({ csrf_token, user, tenant }: Partial<SignedIn>) {
      if (csrf_token === undefined || !user) return;
      if (known && known.userId !== user.id) term.end();
      known = { csrf: csrf_token, userId: user.id };
      where = tenant?.key;
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
