/**
 * How a caller proved who they are, as a union. For handlers that depend on the kind: log-out, a
 * change of password, the audit log.
 */
import type { AccountId } from "../lib/ids.ts";
import type { Amr } from "../model/authentication-methods.ts";
import { tenantTokenRefused } from "./errors.ts";

/** An access token (JWT) in an `Authorization: Bearer` header. */
export interface TokenCredential {
  readonly kind: "token";
  /** The sign-in of the token: a row of `control.sessions`, and the token's `sid`. */
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

/** A client certificate (mTLS) registered for acting as a user, with some permissions. */
export interface CertificateCredential {
  readonly kind: "certificate";
  /** A row of `control.client_certificates`. */
  readonly certificateId: string;
}

/** A browser's session cookie. */
export interface CookieCredential {
  readonly kind: "cookie";
  /** A row of `control.sessions`. */
  readonly sessionId: string;
  /** Seconds since 1970. */
  readonly issuedAt: number;
  /** Seconds since 1970; use extends it. */
  readonly expiresAt: number;
  /** Impersonation is not possible with a cookie. */
  readonly impersonator: undefined;
}

/** An API key: a machine that acts for the user who made the key. */
export interface ApiKeyCredential {
  readonly kind: "api_key";
  /** A row of the tenant's `api_keys`. */
  readonly keyId: string;
}

/** Machines' credentials: without session or personal rights. */
export type MachineCredential = ApiKeyCredential | CertificateCredential;

/** Credentials that come from a sign-in. */
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

/** How a client holds its session; each kind is extended in its own way. */
export type SessionKind = "token" | "cookie";
