/** What the types of the DOM leave out. */
interface Parsing {
  parseRequestOptionsFromJSON(options: unknown): PublicKeyCredentialRequestOptions;
  parseCreationOptionsFromJSON(options: unknown): PublicKeyCredentialCreationOptions;
}
interface Writing {
  toJSON(): object;
}

export const hasPasskeys = (): boolean =>
  typeof PublicKeyCredential === "function" && "parseRequestOptionsFromJSON" in PublicKeyCredential;

/** Asks the browser for a passkey that answers the challenge. */
export async function showPasskey(options: unknown, signal?: AbortSignal): Promise<object> {
  const parsing = PublicKeyCredential as unknown as Parsing;
  const credential = await navigator.credentials.get({
    publicKey: parsing.parseRequestOptionsFromJSON(options),
    ...(signal && { signal, mediation: "conditional" as const }),
  });
  if (!credential) throw new Error("no passkey was chosen");
  return (credential as unknown as Writing).toJSON();
}

/** Asks the browser to make a passkey. */
export async function makePasskey(options: unknown): Promise<object> {
  const parsing = PublicKeyCredential as unknown as Parsing;
  const credential = await navigator.credentials.create({
    publicKey: parsing.parseCreationOptionsFromJSON(options),
  });
  if (!credential) throw new Error("no passkey was made");
  return (credential as unknown as Writing).toJSON();
}
