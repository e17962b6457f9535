/**
 * The session of a request: that of the sign-in if the caller is signed in, otherwise a visitor's,
 * identified by a cookie of its own. They are separate: a sign-in neither takes over a visitor's
 * data nor leaves data to it.
 */
import { createHash, randomBytes } from "node:crypto";
import type { TenantDatabase } from "../data/tenant-database.ts";
import { type Credential, isMachine } from "../identity/credential.ts";
import { cookieIn, setCookie } from "../lib/cookies.ts";
import type { Tenant } from "../model/tenant.ts";
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

/** @returns undefined if the request has no tenant */
export function openRequestSession(
  open: OpenSession,
  { tenant, db, credential }: Whose,
  { cookies, setHeader, ttlSeconds }: RequestParts,
): OpenedSession | undefined {
  if (!tenant || !db) return undefined;
  const owner = { tenantId: tenant.id, db };
  if (credential) {
    // Machines have no session: nothing is found, and saving fails.
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

/** A hash, so that the store does not contain the browser's secret. */
const visitorId = (secret: string): string =>
  `visitor.${createHash("sha256").update(secret).digest("base64url")}`;
