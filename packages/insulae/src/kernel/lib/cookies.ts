/**
 * Cookies (RFC 6265bis). All of this server's are named `__Host-…`. Browsers accept such cookies
 * only from the host itself, over HTTPS, with `Path=/` and without `Domain`, so neither a sibling
 * subdomain nor a plain HTTP page can set or shadow them. (On `http://localhost`, Chromium and
 * Firefox accept them too, which development needs.)
 */

/** The same name occurs twice in the header: somebody may have injected one. */
export const doubled = Symbol("a cookie that was sent twice");

/** The value of a cookie, exactly as sent. */
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
