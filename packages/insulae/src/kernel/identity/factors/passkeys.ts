/**
 * Passkeys (WebAuthn level 3): builds the options for browsers and verifies their answers. A
 * challenge is one of our one-time tokens, so it is short-lived, works once, and is known to all
 * nodes.
 *
 * A passkey belongs to one relying party (a host name), and the browser uses it nowhere else.
 * Relying parties are configured, never derived from a request: see `Site`.
 */
import {
  type AuthenticationResponseJSON,
  type CredentialDeviceType,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type RegistrationResponseJSON,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from "@simplewebauthn/server";
import { decodeClientDataJSON } from "@simplewebauthn/server/helpers";
import type { Subject } from "../subject.ts";

export type { AuthenticationResponseJSON, RegistrationResponseJSON };

/** A relying party: a host name and the origins of its pages. */
export interface Site {
  readonly rpId: string;
  readonly origins: readonly string[];
}

/** The stored part of a passkey. */
export interface Passkey {
  readonly credentialId: string;
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly counter: number;
  readonly transports: readonly string[];
  /** Whether it can be on several devices, which never changes. */
  readonly backupEligible: boolean;
}

const timeoutMs = 300_000;

/** EdDSA, ES256, RS256: the library's list without those that need an experimental API. */
const supportedAlgorithmIDs = [-8, -7, -257];

/** Identifies the owner on the authenticator: an id, without a name. */
const userHandle = ({ tenantId, id }: Subject): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.from(`${tenantId ?? ""}${id}`.replaceAll("-", ""), "hex"));

export interface NewPasskeyRequest {
  readonly site: Site;
  readonly subject: Subject;
  /** Shown by the authenticator: an e-mail and where it is valid. */
  readonly name: string;
  readonly siteName: string;
  /** A one-time token. */
  readonly challenge: string;
  /** Existing passkeys, of which an authenticator makes no second one. */
  readonly known: readonly Pick<Passkey, "credentialId" | "transports">[];
}

/** Options for `navigator.credentials.create()`. */
export const registrationOptions = (request: NewPasskeyRequest) =>
  generateRegistrationOptions({
    rpName: request.siteName,
    rpID: request.site.rpId,
    userName: request.name,
    userDisplayName: request.name,
    userID: userHandle(request.subject),
    challenge: bytesOf(request.challenge),
    timeout: timeoutMs,
    attestationType: "none",
    supportedAlgorithmIDs,
    excludeCredentials: request.known.map(descriptorOf),
    // Discoverable, so that it can replace the name; user-verified, so that it is two factors.
    authenticatorSelection: { residentKey: "required", userVerification: "required" },
  });

/** The passkey that a browser made; undefined if the answer does not match the options. */
export async function verifyRegistration(
  site: Site,
  challenge: string,
  response: RegistrationResponseJSON,
): Promise<(Passkey & { readonly method: "hwk" | "swk" }) | undefined> {
  try {
    if (isForeignFrame(response.response.clientDataJSON)) return undefined;
    const { verified, registrationInfo: info } = await verifyRegistrationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: [...site.origins],
      expectedRPID: site.rpId,
      requireUserVerification: true,
      supportedAlgorithmIDs,
    });
    // Otherwise later answers would have an id other than the stored one.
    if (!verified || response.id !== info.credential.id) return undefined;
    const { id, publicKey, counter, transports = [] } = info.credential;
    const backupEligible = isBackupEligible(info.credentialDeviceType);
    const method = methodOf(backupEligible);
    return { credentialId: id, publicKey, counter, transports, backupEligible, method };
  } catch {
    // The library's error details are not exposed to the client.
    return undefined;
  }
}

export interface PasskeyRequest {
  readonly site: Pick<Site, "rpId">;
  readonly challenge: string;
  /** Undefined: any of the person's passkeys for this site. */
  readonly known: readonly Pick<Passkey, "credentialId" | "transports">[] | undefined;
}

/** Options for `navigator.credentials.get()`. */
export const authenticationOptions = ({ site, challenge, known }: PasskeyRequest) =>
  generateAuthenticationOptions({
    rpID: site.rpId,
    challenge: bytesOf(challenge),
    timeout: timeoutMs,
    userVerification: known ? "preferred" : "required",
    ...(known && { allowCredentials: known.map(descriptorOf) }),
  });

export interface PasskeyAnswer {
  readonly site: Site;
  readonly challenge: string;
  readonly passkey: Pick<Passkey, "credentialId" | "publicKey" | "counter">;
  /** Its owner. */
  readonly subject: Subject;
  /** Whether the authenticator must have verified the user. */
  readonly alone: boolean;
  readonly response: AuthenticationResponseJSON;
}

/** The verified answer; undefined if anything does not match the options. */
export async function verifyAuthentication(answer: PasskeyAnswer) {
  const { site, challenge, passkey, subject, alone, response } = answer;
  const handle = response.response.userHandle;
  const isOfSubject = handle === Buffer.from(userHandle(subject)).toString("base64url");
  // If no name was given, the authenticator has to provide it.
  if (handle === undefined ? alone : !isOfSubject) return undefined;
  try {
    if (isForeignFrame(response.response.clientDataJSON)) return undefined;
    const { verified, authenticationInfo: info } = await verifyAuthenticationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: [...site.origins],
      expectedRPID: site.rpId,
      credential: {
        id: passkey.credentialId,
        publicKey: passkey.publicKey,
        counter: passkey.counter,
      },
      requireUserVerification: alone,
    });
    if (!verified) return undefined;
    const backupEligible = isBackupEligible(info.credentialDeviceType);
    return { counter: info.newCounter, backupEligible, method: methodOf(backupEligible) };
  } catch {
    return undefined;
  }
}

/** The challenge in an answer, not yet verified. */
export function challengeOf({
  response,
}: AuthenticationResponseJSON | RegistrationResponseJSON): string | undefined {
  try {
    const { challenge } = decodeClientDataJSON(response.clientDataJSON);
    return typeof challenge === "string" ? challenge : undefined;
  } catch {
    return undefined;
  }
}

const isBackupEligible = (type: CredentialDeviceType): boolean => type === "multiDevice";

/** A passkey that can be copied to other devices counts as software. */
const methodOf = (backupEligible: boolean): "hwk" | "swk" => (backupEligible ? "swk" : "hwk");

/** None of our pages is framed by another site. */
const isForeignFrame = (clientData: string): boolean =>
  decodeClientDataJSON(clientData).crossOrigin === true;

const bytesOf = (token: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.from(token, "base64url"));

const descriptorOf = ({
  credentialId,
  transports,
}: Pick<Passkey, "credentialId" | "transports">) => ({
  id: credentialId,
  transports: [...transports],
});
