/**
 * How a caller proved who they are. Each way in is a kind of its own; a handler that cares which one
 * it was (a log-out, a change of password, the audit log) looks here.
 */
import type { AccountId } from "../lib/ids.ts";
import type { Amr } from "../model/authentication-methods.ts";
import { tenantTokenRefused } from "./errors.ts";

/** An access token (JWT), as an `Authorization: Bearer` header. */
export interface TokenCredential {
  readonly kind: "token";
  /** The log-in that the token comes from: a row of `control.sessions`, and the token's `sid`. */
  readonly sessionId: string;
  /** Seconds since 1970, as in the token. */
  readonly issuedAt: number;
  /** Seconds since 1970. */
  readonly expiresAt: number;
  /** The platform administrator who acts as the user. */
  readonly impersonator: AccountId | undefined;
  /** Set for a tenant token. */
  readonly tenantToken?: TenantToken | undefined;
}

/**
 * A token for one tenant whose session is its account's at the platform (`POST /auth/tenant-tokens`).
 * It ends with that session, and cannot extend it or exchange itself for a session.
 */
export interface TenantToken {
  /** What the session had proved when the token was issued. */
  readonly amr: Amr;
}

/** A client certificate (mTLS) that was registered for acting as a user, with some permissions. */
export interface CertificateCredential {
  readonly kind: "certificate";
  /** A row of `control.client_certificates`. */
  readonly certificateId: string;
}

/** The cookie of a browser. */
export interface CookieCredential {
  readonly kind: "cookie";
  /** A row of `control.sessions`. */
  readonly sessionId: string;
  /** Seconds since 1970. */
  readonly issuedAt: number;
  /** Seconds since 1970; use prolongs it. */
  readonly expiresAt: number;
  /** Nobody acts as somebody else by a cookie. */
  readonly impersonator: undefined;
}

/** An API key: a machine, on behalf of the user who made it. */
export interface ApiKeyCredential {
  readonly kind: "api_key";
  /** A row of the tenant's `api_keys`. */
  readonly keyId: string;
}

/** What machines show. They have no session, and nothing that is a person's own. */
export type MachineCredential = ApiKeyCredential | CertificateCredential;

/** What comes from a log-in. */
export type SessionCredential = TokenCredential | CookieCredential;

export type Credential = SessionCredential | MachineCredential;

export const isMachine = (credential: Credential): credential is MachineCredential =>
  credential.kind === "api_key" || credential.kind === "certificate";

/** The platform administrator who acts as the user, if one does. */
export const impersonatorOf = (credential: Credential | undefined): AccountId | undefined =>
  credential && !isMachine(credential) ? credential.impersonator : undefined;

/** @throws tenantTokenRefused where a session would be opened or replaced on behalf of a tenant token */
export function refuseTenantToken(credential: Credential): void {
  if (credential.kind === "token" && credential.tenantToken) throw tenantTokenRefused();
}

/** How a session is shown by its client; each kind has its own way to be refreshed. */
export type SessionKind = "token" | "cookie";
