/** Signing in with an outside provider: to it and back, by a code that only this browser can use. */
import { consoleUrl, serverUrl } from "../lib/place.ts";

const verifierName = "insulae.verifier";

export async function startProvider(provider: string): Promise<void> {
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  sessionStorage.setItem(verifierName, verifier);
  const query = new URLSearchParams({
    return_to: consoleUrl("callback"),
    code_challenge: base64url(new Uint8Array(hash)),
  });
  location.assign(`${serverUrl}/api/v1/auth/oidc/${encodeURIComponent(provider)}/start?${query}`);
}

/** @returns the secret of the start, which is used once */
export function takeVerifier(): string {
  const verifier = sessionStorage.getItem(verifierName) ?? "";
  sessionStorage.removeItem(verifierName);
  return verifier;
}

const base64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/={1,2}$/, "");
