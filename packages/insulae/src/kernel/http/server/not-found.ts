import type { ErrorShape } from "../../feature/feature.ts";
import type { AppError } from "../../lib/errors.ts";
import { methodNotAllowed, notFound } from "../../lib/http-errors.ts";

export interface Address {
  readonly method: string;
  /** With parameters as `:id`. */
  readonly path: string;
  readonly errorShape?: ErrorShape | undefined;
}

/** An address that has no route of that method. */
export interface Missing {
  readonly error: AppError;
  /** That of the path's routes, where it has some. */
  readonly errorShape?: ErrorShape | undefined;
}

const isLiteral = (path: string): boolean => !path.includes(":");

/** The addresses that a path takes in: its own, and whatever stands in the place of parameters. */
const patternOf = (path: string): RegExp =>
  // Bounded: by the address (8,000), and each repeat ends at a slash.
  new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/:[^/]+/g, "[^/]+")}$`);

/** Whether one of the addresses answers the method at this path. */
export const isAnswered = (addresses: readonly Address[], method: string, path: string): boolean =>
  addresses.some((each) => each.method === method && patternOf(each.path).test(path));

/**
 * What the router would take for something else: `PATCH /contacts/export` is not the contact with the
 * id `export`. A path without parameters answers its own methods, and no others.
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
 * Which error an address without a route gets: 405 where it answers other methods, else 404. The
 * router finds one method at a time, so this looks through all paths; only errors pay for it.
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
