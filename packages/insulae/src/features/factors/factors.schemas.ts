import { Type } from "typebox";
import { nameText, nullable, secretText, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { maxPasswordLength } from "../../kernel/identity/passwords.ts";
import { SignedIn } from "../accounts/accounts.feature.ts";

export const MfaToken = Type.String({
  minLength: 1,
  maxLength: 200,
  description: "The `mfa_token` of the response `second_factor_required`.",
});

const Code = Type.String({
  pattern: "^\\d{6}$",
  description: "The code shown by the app; single use.",
  examples: ["287082"],
});
const RecoveryCode = Type.String({ minLength: 16, maxLength: 40 });
const FactorName = nameText(100);

// Browsers send properties that we don't read, and will add more.
const open = { additionalProperties: true } as const;
/** Unpadded, as `toJSON()` writes it: passkeys are looked up by the text of their id. */
const Base64Url = Type.String({ maxLength: 20_000, pattern: "^[\\w-]+$" });
/** For a body with a passkey: it may contain the authenticator's certificate chain. */
export const passkeyBodyLimit = 128 * 1024;
const credential = {
  id: Base64Url,
  rawId: Base64Url,
  type: Type.Literal("public-key"),
  clientExtensionResults: Type.Object({}, open),
};

/** `PublicKeyCredential.toJSON()` of `navigator.credentials.get()`. */
export const PasskeyAnswer = Type.Object(
  {
    ...credential,
    response: Type.Object(
      {
        clientDataJSON: Base64Url,
        authenticatorData: Base64Url,
        signature: Base64Url,
        userHandle: Type.Optional(Base64Url),
      },
      open,
    ),
  },
  { ...open, $id: "PasskeyAnswer", description: "AuthenticationResponseJSON (WebAuthn)." },
);

/** `PublicKeyCredential.toJSON()` of `navigator.credentials.create()`. */
const NewPasskey = Type.Object(
  {
    ...credential,
    response: Type.Object(
      {
        clientDataJSON: Base64Url,
        attestationObject: Base64Url,
        transports: Type.Optional(Type.Array(Type.String({ maxLength: 20 }), { maxItems: 10 })),
      },
      open,
    ),
  },
  { ...open, $id: "NewPasskey", description: "RegistrationResponseJSON (WebAuthn)." },
);

const answer = {
  code: Type.Optional(Code),
  recovery_code: Type.Optional(RecoveryCode),
  passkey: Type.Optional(PasskeyAnswer),
};

export const SecondFactor = Type.Object(
  { mfa_token: MfaToken, ...answer },
  { $id: "SecondFactor", description: "With `code`, `recovery_code` or `passkey`." },
);

export const Reauthentication = Type.Object(
  {
    password: Type.Optional(Type.String({ minLength: 1, maxLength: maxPasswordLength })),
    ...answer,
  },
  {
    $id: "Reauthentication",
    description: "With a factor, or with `password` if you have none.",
  },
);

const newFactor = {
  name: Type.Optional(FactorName),
  totp: Type.Optional(
    Type.Object({
      token: Type.String({ minLength: 1, maxLength: 200 }),
      code: Code,
    }),
  ),
  passkey: Type.Optional(NewPasskey),
};

export const NewFactor = Type.Object(newFactor, {
  $id: "NewFactor",
  description: "With `totp` or `passkey`.",
});
export const Enrolment = Type.Object(
  { mfa_token: MfaToken, ...newFactor },
  { $id: "Enrolment", description: "With `totp` or `passkey`." },
);

export const FactorChanges = Type.Object({ name: FactorName });

export const Factor = Type.Object(
  {
    id: uuid,
    kind: Type.Union([Type.Literal("totp"), Type.Literal("passkey")]),
    name: Type.String(),
    created_at: timestamp,
    last_used_at: nullable(timestamp),
  },
  { $id: "Factor" },
);

export const Factors = Type.Object(
  { items: Type.Array(Factor), recovery_codes_left: Type.Integer() },
  { $id: "Factors" },
);

export const BegunTotp = Type.Object(
  {
    token: secretText(
      "Send it with the app's first code to add the factor. Valid for ten minutes.",
    ),
    secret: secretText("Base32, for manual entry."),
    uri: secretText("`otpauth://totp/…`, for a QR code."),
  },
  { $id: "BegunTotp" },
);

/** The input of a browser's `PublicKeyCredential.parse…OptionsFromJSON()`. */
export const PasskeyOptions = Type.Object(
  { challenge: secretText("Single use, valid for ten minutes.") },
  { ...open, $id: "PasskeyOptions" },
);

const recoveryCodes = Type.Array(secretText("Single use, for when the other factors are lost."), {
  description: "Only with the first factor. They are shown only once.",
});

export const RecoveryCodes = Type.Object(
  { recovery_codes: recoveryCodes },
  { $id: "RecoveryCodes" },
);

export const AddedFactor = Type.Object(
  {
    factor: Factor,
    recovery_codes: Type.Optional(recoveryCodes),
    session: SignedIn,
  },
  { $id: "AddedFactor" },
);
