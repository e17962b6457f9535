/**
 * Headers of every answer (OWASP REST security cheat sheet). An API's answer is data: it runs
 * nothing, is shown in no frame, and is not to be guessed at.
 */
export type SecurityHeaders = Readonly<Record<string, string>>;

/** @param tls the server is reached over https, so browsers may be told to insist on it. */
export function securityHeaders(tls: boolean): SecurityHeaders {
  return {
    "x-content-type-options": "nosniff",
    "content-security-policy": framePolicy("DENY"),
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    // Answers differ by host, token and tenant header; no cache on the way may keep one.
    "cache-control": "no-store",
    // A page of an allowed origin gets headers of its own (cors.ts).
    vary: "origin",
    ...(tls ? { "strict-transport-security": "max-age=31536000; includeSubDomains" } : {}),
  };
}

/** The answer of an API runs nothing; whose frames show it may be said for a host. */
export const framePolicy = (frames: "DENY" | "SAMEORIGIN"): string =>
  `default-src 'none'; frame-ancestors ${frames === "DENY" ? "'none'" : "'self'"}`;
