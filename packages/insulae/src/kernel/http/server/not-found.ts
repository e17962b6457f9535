import type { ErrorShape } from "../../feature/feature.ts";
import type { AppError } from "../../lib/errors.ts";
import { methodNotAllowed, notFound } from "../../lib/http-errors.ts";

export interface Address {
  readonly method: string;
  /** With parameters as `:id`. */
  readonly path: string;
  readonly errorShape?: ErrorShape | undefined;
}

/** A path that has no route of the requested method. */
export interface Missing {
  readonly error: AppError;
  /** That of the path's other routes, if any. */
  readonly errorShape?: ErrorShape | undefined;
}

const isLiteral = (path: string): boolean => !path.includes(":");

/** Matches the concrete paths of a pattern. */
const patternOf = (path: string): RegExp =>
  // Bounded: paths are at most 8,000 characters, and each repetition ends at a slash.
  new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/:[^/]+/g, "[^/]+")}$`);

/** Whether a route matches the method and path. */
export const isAnswered = (addresses: readonly Address[], method: string, path: string): boolean =>
  addresses.some((each) => each.method === method && patternOf(each.path).test(path));

/**
 * Combinations that the router would match with a parameter: `PATCH /contacts/export` is not the
 * contact with the id `export`. A literal path answers its own methods only.
 */
export function shadowedAddresses(addresses: readonly Address[]): Address[] {
  const own = new Set(addresses.map(({ method, path }) => `${method} ${path}`));
  const patterns = addresses
    .filter(({ path }) => !isLiteral(path))
    .map(({ method, path }) => ({ method, pattern: patternOf(path) }));
  const literals = new Set(addresses.map(({ path }) => path).filter(isLiteral));
  const shadowed = [...literals].flatMap((path) =>
    patterns
      .filter(({ method, pattern }) => pattern.test(path) && !own.has(`${method} ${path}`))
      .map(({ method }) => ({ method, path })),
  );
  return [...new Map(shadowed.map((each) => [`${each.method} ${each.path}`, each])).values()];
}

/**
 * The error for an address without a route: 405 if the path has other methods, otherwise 404. The
 * router looks up one method at a time, so this scans all paths; only errors pay for it.
 */
export function createNotFound(addresses: readonly Address[]): (url: string) => Missing {
  const byPath = Map.groupBy(addresses, (address) => address.path);
  const paths = [...byPath].map(([path, group]) => ({
    path,
    pattern: patternOf(path),
    errorShape: group.find((each) => each.errorShape)?.errorShape,
    methods: new Set(
      group.flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method])),
    ),
  }));
  return (url) => {
    const path = url.split("?", 1)[0] ?? "";
    const literal = paths.find((each) => each.path === path && isLiteral(path));
    const found = literal ? [literal] : paths.filter(({ pattern }) => pattern.test(path));
    if (found.length === 0) return { error: notFound() };
    const methods = new Set(found.flatMap(({ methods }) => [...methods]));
    return {
      error: methodNotAllowed({ headers: { allow: [...methods].join(", ") } }),
      errorShape: found.find((each) => each.errorShape)?.errorShape,
    };
  };
}
