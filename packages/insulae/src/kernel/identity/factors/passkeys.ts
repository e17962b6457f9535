/**
 * Passkeys (WebAuthn, level 3): what a browser is asked, and whether what it answers is right. A
 * challenge is a one-time token of ours, so it lives shortly, works once, and is known to all nodes.
 *
 * A passkey is made for one relying party (a host name), and the browser uses it nowhere else. Which
 * there are is configuration, never what a request says: see `Site`.
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

/** Where passkeys are made and used: a host name, and the origins of its pages. */
export interface Site {
  readonly rpId: string;
  readonly origins: readonly string[];
}

/** What is stored of one. */
export interface Passkey {
  readonly credentialId: string;
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly counter: number;
  readonly transports: readonly string[];
  /** Whether it may be on several devices, which never changes. */
  readonly backupEligible: boolean;
}

const timeoutMs = 300_000;

/** EdDSA, ES256, RS256: the library's list, but for what it would have to ask an experimental API. */
const supportedAlgorithmIDs = [-8, -7, -257];

/** The bytes that an authenticator keeps, to say whose a passkey is: an id, nobody's name. */
const userHandle = ({ tenantId, id }: Subject): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.from(`${tenantId ?? ""}${id}`.replaceAll("-", ""), "hex"));

export interface NewPasskeyRequest {
  readonly site: Site;
  readonly subject: Subject;
  /** What the authenticator shows: an e-mail, and where it is good. */
  readonly name: string;
  readonly siteName: string;
  /** A one-time token. */
  readonly challenge: string;
  /** Those that are there already, of which an authenticator makes no second one. */
  readonly known: readonly Pick<Passkey, "credentialId" | "transports">[];
}

/** What `navigator.credentials.create()` is called with. */
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
    // Discoverable, so that it can stand for the name as well; verified, so that it is two factors.
    authenticatorSelection: { residentKey: "required", userVerification: "required" },
  });

/** The passkey that a browser made; undefined if anything of the answer is not as it was asked for. */
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
    // Otherwise the browser's next answers have an id that is not the one stored.
    if (!verified || response.id !== info.credential.id) return undefined;
    const { id, publicKey, counter, transports = [] } = info.credential;
    const backupEligible = isBackupEligible(info.credentialDeviceType);
    const method = methodOf(backupEligible);
    return { credentialId: id, publicKey, counter, transports, backupEligible, method };
  } catch {
    // The library says by throwing what is wrong, and nothing more is said than that it is.
    return undefined;
  }
}

export interface PasskeyRequest {
  readonly site: Pick<Site, "rpId">;
  readonly challenge: string;
  /** Undefined: whichever the person has for this site. */
  readonly known: readonly Pick<Passkey, "credentialId" | "transports">[] | undefined;
}

/** What `navigator.credentials.get()` is called with. */
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
  /** Whose it is. */
  readonly subject: Subject;
  /** Whether the person has to have shown the authenticator that it is them. */
  readonly alone: boolean;
  readonly response: AuthenticationResponseJSON;
}

/** What a right answer says; undefined if anything of it is not as it was asked for. */
export async function verifyAuthentication(answer: PasskeyAnswer) {
  const { site, challenge, passkey, subject, alone, response } = answer;
  const handle = response.response.userHandle;
  const isOfSubject = handle === Buffer.from(userHandle(subject)).toString("base64url");
  // Where nobody has said who they are, the authenticator has to.
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

/** The challenge that an answer is to; whether it is a good one is not known yet. */
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

/** A passkey that may be copied to other devices is as good as software. */
const methodOf = (backupEligible: boolean): "hwk" | "swk" => (backupEligible ? "swk" : "hwk");

/** No page of ours is in another site's frame. */
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
