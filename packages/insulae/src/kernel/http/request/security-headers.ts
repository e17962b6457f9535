/**
 * Headers of every response (OWASP REST security cheat sheet). API responses are data: they execute
 * nothing, are not framed, and their type must not be sniffed.
 */
export type SecurityHeaders = Readonly<Record<string, string>>;

/** @param tls whether the server is reached over https, so that HSTS applies */
export function securityHeaders(tls: boolean): SecurityHeaders {
  return {
    "x-content-type-options": "nosniff",
    "content-security-policy": framePolicy("DENY"),
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    // Responses depend on host, token and tenant header, so no shared cache may store them.
    "cache-control": "no-store",
    // Pages of allowed origins get further headers (cors.ts).
    vary: "origin",
    ...(tls ? { "strict-transport-security": "max-age=31536000; includeSubDomains" } : {}),
  };
}

/** API responses execute nothing; framing can be configured per host. */
export const framePolicy = (frames: "DENY" | "SAMEORIGIN"): string =>
  `default-src 'none'; frame-ancestors ${frames === "DENY" ? "'none'" : "'self'"}`;
