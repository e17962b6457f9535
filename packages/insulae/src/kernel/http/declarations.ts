/**
 * The check of all declarations before the server starts. A route that does not say who may call it
 * is not registered with a guess: nothing starts, and all that is wrong is told at once.
 */
import type { ErrorFactory } from "../errors.ts";
import type { EventDefinition } from "../events.ts";
import type { Feature, ResponseSchemas, Route } from "../feature.ts";
import { hasSecret, schemaProblems } from "./schemas.ts";
import { sharedErrors, sharedErrorsOfChanges } from "./shared-errors.ts";

/** Where the canonical API lives; `absolute` routes stand beside it. */
const apiPrefix = "/api/v1";

/** The route's whole path, with parameters as `:id`. */
export const routePath = (route: Route): string =>
  route.absolute ? route.path : `${apiPrefix}${route.path}`;

/** The names of the parameters in a path. */
export const pathParameters = (path: string): string[] =>
  [...path.matchAll(/:([^/]+)/g)].map((match) => match[1] ?? "");

/** The schemas of the answers by status; a bare schema is that of 200. */
export function responsesOf(response: ResponseSchemas): ReadonlyMap<number, object | null> {
  const keys = Object.keys(response);
  const byStatus = keys.length > 0 && keys.every((key) => /^\d{3}$/.test(key));
  if (!byStatus) return new Map([[200, response]]);
  return new Map(Object.entries(response).map(([status, schema]) => [Number(status), schema]));
}

/** @throws Error that lists every problem of every feature. */
export function checkDeclarations(features: readonly Feature[]): void {
  const problems = [
    ...doubled(
      "feature",
      features.map((feature) => feature.name),
    ),
    ...doubled(
      "permission",
      features.flatMap(({ permissions }) =>
        [...permissions].flatMap(([name, { aliases = [] }]) => [name, ...aliases]),
      ),
    ),
    ...doubled(
      "route",
      features.flatMap((feature) => feature.routes.map(address)),
    ),
    ...doubled(
      "event",
      features.flatMap(({ events }) => events.map(({ name }) => name)),
    ),
    ...constraintProblems(features),
    ...codeProblems(features),
    ...features.flatMap((feature) =>
      feature.events.flatMap((event) =>
        eventProblems(event, features).map(
          (problem) => `${feature.name}: event ${event.name}: ${problem}`,
        ),
      ),
    ),
    ...features.flatMap((feature) =>
      feature.routes.flatMap((route) =>
        routeProblems(route, features).map(
          (problem) => `${feature.name}: ${route.method} ${routePath(route)}: ${problem}`,
        ),
      ),
    ),
  ];
  if (problems.length > 0) {
    throw new Error(
      `The features are not well declared:\n${problems.map((p) => `- ${p}\n`).join("")}`,
    );
  }
}

/** What the router tells routes apart by; the names of parameters do not count. */
const address = (route: Route): string =>
  `${route.method} ${routePath(route).replaceAll(/:[^/]+/g, ":")}`;

function doubled(what: string, names: readonly string[]): string[] {
  const seen = new Set<string>();
  const twice = names.filter((name) => seen.size === seen.add(name).size);
  return [...new Set(twice)].map((name) => `${what} ${name} is declared twice`);
}

function constraintProblems(features: readonly Feature[]): string[] {
  const known = new Map<string, ErrorFactory>();
  const problems: string[] = [];
  for (const [name, error] of features.flatMap((feature) => Object.entries(feature.constraints))) {
    const other = known.get(name);
    if (other && other !== error) problems.push(`constraint ${name} has two errors`);
    known.set(name, error);
  }
  return problems;
}

/** Clients tell errors apart by their codes alone. */
function codeProblems(features: readonly Feature[]): string[] {
  const errors = [
    ...sharedErrors,
    ...sharedErrorsOfChanges,
    ...features.flatMap(({ constraints, routes }) => [
      ...Object.values(constraints),
      ...routes.flatMap(({ options }) => options.errors ?? []),
    ]),
  ];
  return [...Map.groupBy(new Set(errors), ({ code }) => code)]
    .filter(([, group]) => group.length > 1)
    .map(([code, group]) => {
      const definitions = group.map(({ status, title }) => `${status} ${JSON.stringify(title)}`);
      return `error ${code} is defined ${group.length} times: ${definitions.join(", ")}`;
    });
}

const eventProblems = (
  { name, permission, schema }: EventDefinition,
  features: readonly Feature[],
): string[] => [
  ...(/^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/.test(name)
    ? []
    : ["its name is not of the form thing.changed"]),
  ...(features.some(({ permissions }) => permissions.has(permission))
    ? []
    : [`its permission ${permission} is declared by no feature`]),
  // It goes to whoever the tenant names, and is kept.
  ...(hasSecret(schema) ? ["it has a secret in it"] : []),
];

// The types say most of this already; applications in JavaScript, and casts, have not read them.
function routeProblems(route: Route, features: readonly Feature[]): string[] {
  const options: Partial<Route["options"]> = route.options;
  return [
    ...accessProblems(options, features),
    ...pathProblems(route),
    ...responseProblems(options.response),
    ...auditProblems(route),
    ...socketProblems(route),
    ...etagProblems(route, features),
    ...(options.summary?.trim() ? [] : ["it has no summary"]),
    ...(options.body && (route.method === "GET" || route.method === "DELETE")
      ? [`a ${route.method} has no body`]
      : []),
    ...(options.query && !isObjectSchema(options.query) ? ["query is not an object schema"] : []),
    ...(["params", "query", "body"] as const).flatMap((part) =>
      schemaProblems(options[part] ?? {}).map((problem) => `${part}: ${problem}`),
    ),
  ];
}

function accessProblems(
  options: Partial<Route["options"]>,
  features: readonly Feature[],
): string[] {
  const { permission, context = "tenant" } = options;
  if (typeof permission !== "string") return ["it has no permission"];
  if (!["tenant", "core", "any"].includes(context)) return [`context ${context} is not known`];
  switch (permission) {
    case "public":
    case "authenticated":
      return [];
    case "platform":
      return context === "tenant" ? ["platform administrators act in the context core"] : [];
    default:
      if (!features.some((feature) => feature.permissions.has(permission))) {
        return [`permission ${permission} is declared by no feature`];
      }
      return context === "core" ? ["a tenant's permission needs the context tenant"] : [];
  }
}

function socketProblems({ method, options }: Route): string[] {
  const { permission, context, orPlatform, socket, response } = options;
  const named = typeof permission === "string" && permission.includes(":");
  return [
    ...(orPlatform && !(named && context === "any")
      ? ["orPlatform is for a named permission in the context any"]
      : []),
    ...(socket && !(method === "GET" && 101 in response)
      ? ["a WebSocket is a GET that answers 101"]
      : []),
  ];
}

function auditProblems({ method, options: { audit } }: Route): string[] {
  if (audit === undefined) {
    return method === "GET"
      ? []
      : [
          'it does not say what the audit log calls it: `audit: "thing.changed"`, or `{ none: reason }`',
        ];
  }
  if (typeof audit !== "string") {
    return audit.none.trim() ? [] : ["it gives no reason why it is not audited"];
  }
  return /^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/.test(audit)
    ? []
    : [`audit ${audit} is not of the form thing.changed`];
}

function etagProblems(
  { method, path, options: { etag, context = "tenant" } }: Route,
  features: readonly Feature[],
): string[] {
  if (etag === undefined) return [];
  if (method !== "GET") return ["etag is declared by the GET, and is that of the changes too"];
  if (etag === true) return [];
  return [
    ...(context === "tenant" ? [] : ["etag names a tenant's row: it needs the context tenant"]),
    ...(pathParameters(path).includes("id") ? [] : ["etag needs an :id in the path"]),
    ...(typeof etag === "string" && !features.some(({ tables }) => tables.includes(etag))
      ? [`etag: the table ${etag} is declared by no feature`]
      : []),
  ];
}

function pathProblems(route: Route): string[] {
  const problems: string[] = [];
  if (!/^(\/(:[a-z][a-z0-9_]*|[A-Za-z0-9._~-]+))*$/.test(route.path) || route.path === "") {
    problems.push("its path is not of the form /things/:id");
  }
  const inPath = pathParameters(route.path);
  const params = route.options.params;
  const described = isObjectSchema(params) ? Object.keys(params.properties) : [];
  for (const name of inPath) {
    if (!described.includes(name)) problems.push(`parameter :${name} has no schema in params`);
  }
  for (const name of described) {
    if (!inPath.includes(name)) problems.push(`params describe :${name}, which its path has not`);
  }
  return problems;
}

function responseProblems(response: ResponseSchemas | undefined): string[] {
  if (typeof response !== "object" || response === null) return ["it has no response"];
  const successes = [...responsesOf(response).keys()].filter(
    (status) => status >= 200 && status < 400,
  );
  return [
    ...(successes.length === 0 && !(101 in response) && !(410 in response)
      ? ["its response has no status 2xx or 3xx"]
      : []),
    ...[...responsesOf(response)].flatMap(([status, schema]) =>
      schemaProblems(schema ?? {}).map((problem) => `response ${status}: ${problem}`),
    ),
  ];
}

function isObjectSchema(schema: unknown): schema is { properties: object } {
  return typeof schema === "object" && schema !== null && "properties" in schema;
}
