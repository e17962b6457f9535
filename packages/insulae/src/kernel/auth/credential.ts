/**
 * How a caller proved who they are. Each way in is a kind of its own; a handler that cares which one
 * it was (a log-out, a change of password, the audit log) looks here.
 */

import type { AccountId } from "../tenancy/tenant.ts";
import { permissionDenied } from "./errors.ts";

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
}

/** A client certificate (mTLS) that was registered for acting as a user, with some permissions. */
export interface CertificateCredential {
  readonly kind: "certificate";
  /** A row of `control.client_certificates`. */
  readonly certificateId: string;
}

/** A union: other kinds (an API key, a cookie session) are added here, each with its own fields. */
export type Credential = TokenCredential | CertificateCredential;

/** The credential of somebody who logged in. */
type SessionCredential = Exclude<Credential, CertificateCredential>;

/** @throws permissionDenied for a machine, which has no session */
export function sessionOf(credential: Credential): SessionCredential {
  if (credential.kind === "certificate") throw permissionDenied();
  return credential;
}

/** How a session is shown by its client; each kind has its own way to be refreshed. */
export type SessionKind = "token";
