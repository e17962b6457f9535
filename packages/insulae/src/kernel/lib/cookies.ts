/**
 * Cookies (RFC 6265bis). All of this server's are named `__Host-…`: a browser takes such a one only
 * from the host itself, over https, with `Path=/` and without `Domain`, so that neither a sibling
 * subdomain nor a plain http page can set or shadow it. (On `http://localhost` Chromium and Firefox
 * take them as well, which is what development needs.)
 */

/** Twice the same name in one header: somebody has put one beside the other. */
export const doubled = Symbol("a cookie that was sent twice");

/** The value of a cookie, as it was sent. */
export function cookieIn(
  header: string | undefined,
  name: string,
): string | typeof doubled | undefined {
  if (header === undefined || !header.includes(name)) return undefined;
  let found: string | undefined;
  for (const pair of header.split(";")) {
    const separator = pair.indexOf("=");
    if (separator < 0 || pair.slice(0, separator).trim() !== name) continue;
    if (found !== undefined) return doubled;
    found = pair.slice(separator + 1).trim();
  }
  return found;
}

/** @param maxAgeSeconds 0 deletes the cookie. */
export const setCookie = (name: `__Host-${string}`, value: string, maxAgeSeconds: number): string =>
  `${name}=${value}; Path=/; Max-Age=${maxAgeSeconds}; Secure; HttpOnly; SameSite=Lax`;
