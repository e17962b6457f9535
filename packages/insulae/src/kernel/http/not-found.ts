import type { AppError } from "../errors.ts";
import { methodNotAllowed, notFound } from "./errors.ts";

export interface Address {
  readonly method: string;
  /** With parameters as `:id`. */
  readonly path: string;
}

const isLiteral = (path: string): boolean => !path.includes(":");

/** The addresses that a path takes in: its own, and whatever stands in the place of parameters. */
const patternOf = (path: string): RegExp =>
  // Bounded: by the address (8,000), and each repeat ends at a slash.
  new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/:[^/]+/g, "[^/]+")}$`);

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
export function createNotFound(addresses: readonly Address[]): (url: string) => AppError {
  const byPath = Map.groupBy(addresses, (address) => address.path);
  const paths = [...byPath].map(([path, group]) => ({
    path,
    pattern: patternOf(path),
    methods: new Set(
      group.flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method])),
    ),
  }));
  return (url) => {
    const path = url.split("?", 1)[0] ?? "";
    const literal = paths.find((each) => each.path === path && isLiteral(path));
    const methods = (
      literal ? [literal] : paths.filter(({ pattern }) => pattern.test(path))
    ).flatMap(({ methods }) => [...methods]);
    if (methods.length === 0) return notFound();
    return methodNotAllowed({ headers: { allow: [...new Set(methods)].join(", ") } });
  };
}
