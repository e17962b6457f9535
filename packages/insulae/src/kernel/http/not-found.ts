import type { AppError } from "../errors.ts";
import { methodNotAllowed, notFound } from "./errors.ts";

export interface Address {
  readonly method: string;
  /** With parameters as `:id`. */
  readonly path: string;
}

/**
 * Which error an address without a route gets: 405 where it answers other methods, else 404. The
 * router finds one method at a time, so this looks through all paths; only errors pay for it.
 */
export function createNotFound(addresses: readonly Address[]): (url: string) => AppError {
  const byPath = Map.groupBy(addresses, (address) => address.path);
  const paths = [...byPath].map(([path, group]) => ({
    // Bounded: by the address (8,000), and each repeat ends at a slash.
    pattern: new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/:[^/]+/g, "[^/]+")}$`),
    methods: new Set(
      group.flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method])),
    ),
  }));
  return (url) => {
    const path = url.split("?", 1)[0] ?? "";
    const methods = paths
      .filter(({ pattern }) => pattern.test(path))
      .flatMap(({ methods }) => [...methods]);
    if (methods.length === 0) return notFound();
    return methodNotAllowed({ headers: { allow: [...new Set(methods)].join(", ") } });
  };
}
