/**
 * Whose session a request has: that of the sign-in, if somebody is signed in, however they show it;
 * otherwise a visitor's, whom a cookie of their own makes known again. The two never meet: what a
 * visitor's session holds is not taken over by a sign-in, nor left behind by one.
 */
import { createHash, randomBytes } from "node:crypto";
import type { TenantDatabase } from "../data/tenant-database.ts";
import { type Credential, isMachine } from "../identity/credential.ts";
import { cookieIn, setCookie } from "../lib/cookies.ts";
import type { Tenant } from "../tenancy/tenant.ts";
import type { OpenedSession, OpenSession } from "./session.ts";

export const visitorCookie = "__Host-insulae-visitor";

/** Whose request it is. */
interface Whose {
  readonly tenant: Tenant | undefined;
  readonly db: TenantDatabase<Record<never, never>> | undefined;
  readonly credential: Credential | undefined;
}

export interface RequestParts {
  readonly cookies: string | undefined;
  readonly setHeader: (name: string, value: string) => void;
  readonly ttlSeconds: number;
}

/** @returns undefined where no tenant is known. */
export function openRequestSession(
  open: OpenSession,
  { tenant, db, credential }: Whose,
  { cookies, setHeader, ttlSeconds }: RequestParts,
): OpenedSession | undefined {
  if (!tenant || !db) return undefined;
  const owner = { tenantId: tenant.id, db };
  if (credential) {
    // A machine has none: nothing is found, and nothing can be saved.
    const id = isMachine(credential) ? undefined : `user.${credential.sessionId}`;
    return open({ ...owner, id });
  }
  const shown = cookieIn(cookies, visitorCookie);
  return open({
    ...owner,
    id: typeof shown === "string" && /^[\w-]{43}$/.test(shown) ? visitorId(shown) : undefined,
    newId() {
      const secret = randomBytes(32).toString("base64url");
      setHeader("set-cookie", setCookie(visitorCookie, secret, ttlSeconds));
      return visitorId(secret);
    },
  });
}

/** The store doesn't learn what the browser holds. */
const visitorId = (secret: string): string =>
  `visitor.${createHash("sha256").update(secret).digest("base64url")}`;
