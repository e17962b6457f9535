/**
 * A software authenticator for tests. It creates and uses one passkey (ES256, attestation `none`)
 * as in WebAuthn level 3, sections 5.8.1, 6.1 and 6.5, and can be told to send wrong data.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isoCBOR } from "@simplewebauthn/server/helpers";
import type {
  AuthenticationResponseJSON,
  RegistrationResponseJSON,
} from "../../kernel/identity/factors/passkeys.ts";

export interface Lies {
  readonly origin?: string;
  readonly rpId?: string;
  readonly challenge?: string;
  readonly type?: string;
  readonly crossOrigin?: boolean;
  readonly userVerified?: boolean;
  readonly userPresent?: boolean;
  readonly counter?: number;
  /** Whether the passkey can be, or is, synced to other devices. */
  readonly backup?: "eligible" | "done";
  readonly userHandle?: string;
  /** The attestation format. */
  readonly format?: string;
  readonly statement?: Map<string, Uint8Array>;
}

const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest();
const text = (data: Uint8Array) => Buffer.from(data).toString("base64url");

/** @param counts whether it has a signature counter; many authenticators always send 0 */
export function createAuthenticator(origin: string, counts = true) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { x = "", y = "" } = publicKey.export({ format: "jwk" });
  const id = randomBytes(32);
  let uses = 0;
  let owner: string | undefined;

  const clientData = (type: string, challenge: string, lies: Lies) =>
    Buffer.from(
      JSON.stringify({
        type: lies.type ?? type,
        challenge: lies.challenge ?? challenge,
        origin: lies.origin ?? origin,
        crossOrigin: lies.crossOrigin ?? false,
      }),
    );

  const authenticatorData = (rpId: string, lies: Lies, attested?: Buffer) => {
    const { userPresent = true, userVerified = true } = lies;
    const backup = { none: 0, eligible: 0x08, done: 0x18 }[lies.backup ?? "none"];
    const flags =
      (userPresent ? 0x01 : 0) | (userVerified ? 0x04 : 0) | (attested ? 0x40 : 0) | backup;
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(lies.counter ?? uses);
    const head = Buffer.concat([sha256(lies.rpId ?? rpId), Buffer.from([flags]), counter]);
    return attested ? Buffer.concat([head, attested]) : head;
  };

  /** The AAGUID (zeros), the credential id and the COSE key. */
  const attestedData = () => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(id.length);
    const key = isoCBOR.encode(
      new Map<number, number | Uint8Array>([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, Uint8Array.from(Buffer.from(x, "base64url"))],
        [-3, Uint8Array.from(Buffer.from(y, "base64url"))],
      ]),
    );
    return Buffer.concat([Buffer.alloc(16), length, id, key]);
  };

  return {
    id: text(id),
    /** `navigator.credentials.create()` */
    create(
      options: { challenge: string; rp: { id: string }; user: { id: string } },
      lies: Lies = {},
    ): RegistrationResponseJSON {
      owner = options.user.id;
      const data = authenticatorData(options.rp.id, lies, attestedData());
      const attestationObject = isoCBOR.encode(
        new Map<string, unknown>([
          ["fmt", lies.format ?? "none"],
          ["attStmt", lies.statement ?? new Map()],
          ["authData", Uint8Array.from(data)],
          // The library's types list only some of the values.
        ]) as never,
      );
      return {
        id: text(id),
        rawId: text(id),
        type: "public-key",
        clientExtensionResults: {},
        response: {
          clientDataJSON: text(clientData("webauthn.create", options.challenge, lies)),
          attestationObject: text(attestationObject),
          transports: ["internal"],
        },
      };
    },
    /** `navigator.credentials.get()` */
    get(options: { challenge: string; rpId: string }, lies: Lies = {}): AuthenticationResponseJSON {
      if (counts) uses += 1;
      const data = authenticatorData(options.rpId, lies);
      const client = clientData("webauthn.get", options.challenge, lies);
      const signature = sign("sha256", Buffer.concat([data, sha256(client)]), privateKey);
      const userHandle = lies.userHandle ?? owner;
      return {
        id: text(id),
        rawId: text(id),
        type: "public-key",
        clientExtensionResults: {},
        response: {
          clientDataJSON: text(client),
          authenticatorData: text(data),
          signature: text(signature),
          ...(userHandle !== undefined && { userHandle }),
        },
      };
    },
  };
}
