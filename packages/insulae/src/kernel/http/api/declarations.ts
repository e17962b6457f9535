/** Checks what a single route or event declares. */
import { isErrorFactory } from "../../feature/check-feature.ts";
import type { EventDefinition } from "../../feature/events.ts";
import type { Feature, ResponseSchemas, Route, RouteOptions } from "../../feature/feature.ts";
import { describeValue, hint, unknownNames } from "../../lib/declaration-error.ts";
import { hasSecret, schemaProblems } from "../../validation/schemas.ts";

const optionNames: Readonly<Record<keyof RouteOptions, true>> = {
  permission: true,
  context: true,
  defaultTenant: true,
  forCaller: true,
  unknownTenant: true,
  byHost: true,
  personal: true,
  impersonators: true,
  orPlatform: true,
  socket: true,
  params: true,
  query: true,
  body: true,
  response: true,
  summary: true,
  description: true,
  bodyLimit: true,
  limit: true,
  atATime: true,
  audit: true,
  etag: true,
  errors: true,
  errorShape: true,
};

/** The prefix of the canonical API. `absolute` routes are outside of it. */
const apiPrefix = "/api/v1";

/** The route's full path, with parameters as `:id`. */
export const routePath = (route: Route): string =>
  route.absolute ? route.path : `${apiPrefix}${route.path}`;

export const pathParameters = (path: string): string[] =>
  [...path.matchAll(/:([^/]+)/g)].map((match) => match[1] ?? "");

/** The response schemas by status. A schema without a status is that of 200. */
export function responsesOf(response: ResponseSchemas): ReadonlyMap<number, object | null> {
  const keys = Object.keys(response);
  const byStatus = keys.length > 0 && keys.every((key) => /^\d{3}$/.test(key));
  if (!byStatus) return new Map([[200, response]]);
  return new Map(Object.entries(response).map(([status, schema]) => [Number(status), schema]));
}

export const eventProblems = (
  { name, permission, schema }: EventDefinition,
  features: readonly Feature[],
): string[] => [
  ...(/^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/.test(name)
    ? []
    : ["its name is not of the form thing.changed"]),
  ...(features.some(({ permissions }) => permissions.has(permission))
    ? []
    : [`its ${undeclared(permission, features)}`]),
  // Events are stored, and sent to addresses that the tenant chooses.
  ...(hasSecret(schema) ? ["it has a secret in it"] : []),
];

// The types prevent most of this, but not in JavaScript applications or behind casts.
export function routeProblems(route: Route, features: readonly Feature[]): string[] {
  const options: Partial<Route["options"]> = route.options;
  return [
    ...unknownNames(options, Object.keys(optionNames)),
    ...(typeof route.handler === "function"
      ? []
      : [`its handler is ${describeValue(route.handler)}`]),
    ...errorProblems(options.errors),
    ...limitProblems(options),
    ...accessProblems(options, features),
    ...pathProblems(route),
    ...responseProblems(options.response),
    ...auditProblems(route),
    ...socketProblems(route),
    ...etagProblems(route, features),
    ...(typeof options.summary === "string" && options.summary.trim() ? [] : ["it has no summary"]),
    ...(options.body && (route.method === "GET" || route.method === "DELETE")
      ? [`a ${route.method} has no body`]
      : []),
    ...(options.query && !isObjectSchema(options.query) ? ["query is not an object schema"] : []),
    ...(["params", "query", "body"] as const)
      // A value with one of these keys is meant as a map of schemas.
      .filter((part) => part in options)
      .flatMap((part) => partProblems(part, options[part])),
  ];
}

function accessProblems(
  options: Partial<Route["options"]>,
  features: readonly Feature[],
): string[] {
  const { permission, context = "tenant" } = options;
  if (typeof permission !== "string") return ["it has no permission"];
  if (!["tenant", "core", "any"].includes(context)) return [`context ${context} does not exist`];
  switch (permission) {
    case "public":
    case "authenticated":
      return [];
    case "platform":
      return context === "tenant" ? ["platform administrators act in the context core"] : [];
    default:
      if (!features.some((feature) => feature.permissions.has(permission))) {
        return [undeclared(permission, features)];
      }
      return context === "core" ? ["a tenant's permission needs the context tenant"] : [];
  }
}

const undeclared = (permission: string, features: readonly Feature[]): string => {
  const names = features.flatMap(({ permissions }) => [...permissions.keys()]);
  return `permission ${permission} is not declared by any feature${hint(permission, names)}`;
};

const partProblems = (part: string, schema: unknown): string[] =>
  typeof schema === "object" && schema !== null
    ? schemaProblems(schema).map((problem) => `${part}: ${problem}`)
    : [`${part} is ${describeValue(schema)}`];

function limitProblems({ limit, bodyLimit }: Partial<Route["options"]>): string[] {
  return [
    ...(limit === undefined || limit === "credentials" || limit === "signed"
      ? []
      : [`limit ${JSON.stringify(limit)} does not exist; use "credentials" or "signed"`]),
    ...(bodyLimit === undefined || (Number.isInteger(bodyLimit) && bodyLimit > 0)
      ? []
      : [`bodyLimit is ${bodyLimit}; it must be a number of bytes`]),
  ];
}

function errorProblems(errors: unknown): string[] {
  if (errors === undefined) return [];
  if (!Array.isArray(errors)) return ["errors is not a list"];
  return errors.flatMap((error: unknown, index) =>
    isErrorFactory(error)
      ? []
      : [`errors[${index}] is ${describeValue(error)}; make it with defineError()`],
  );
}

function socketProblems({ method, options }: Route): string[] {
  const { permission, context, orPlatform, socket, response = {} } = options;
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
      : ['it declares no audit entry: add `audit: "thing.changed"`, or `{ none: reason }`'];
  }
  if (typeof audit !== "string") {
    return typeof audit?.none === "string" && audit.none.trim()
      ? []
      : ["it gives no reason why it is not audited"];
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
  if (method !== "GET") return ["etag belongs on the GET; changes of the same path use it too"];
  if (etag === true) return [];
  return [
    ...(context === "tenant" ? [] : ["etag needs the context tenant"]),
    ...(pathParameters(path).includes("id") ? [] : ["etag needs an :id in the path"]),
    ...(typeof etag === "string" && !features.some(({ tables }) => tables.includes(etag))
      ? [
          `etag: the table ${etag} is not declared by any feature${hint(
            etag,
            features.flatMap(({ tables }) => tables),
          )}`,
        ]
      : []),
  ];
}

function pathProblems(route: Route): string[] {
  if (typeof route.path !== "string") return [`its path is ${describeValue(route.path)}`];
  const problems: string[] = [];
  if (!/^(\/(:[a-z][a-z0-9_]*|[A-Za-z0-9._~-]+))*$/.test(route.path) || route.path === "") {
    problems.push("its path is not of the form /things/:id");
  }
  if (!route.absolute && `${route.path}/`.startsWith(`${apiPrefix}/`)) {
    problems.push(`its path must not repeat ${apiPrefix}, which is added; or use r.absolute`);
  }
  const inPath = pathParameters(route.path);
  const params = route.options.params;
  const described = isObjectSchema(params) ? Object.keys(params.properties) : [];
  for (const name of inPath) {
    if (!described.includes(name))
      problems.push(`parameter :${name} has no schema in params${hint(name, described)}`);
  }
  for (const name of described) {
    if (!inPath.includes(name)) problems.push(`params has :${name}, but the path does not`);
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
      ? ["its response declares no status 2xx or 3xx"]
      : []),
    ...[...responsesOf(response)].flatMap(([status, schema]) =>
      schema === null ? [] : partProblems(`response ${status}`, schema),
    ),
  ];
}

function isObjectSchema(schema: unknown): schema is { properties: object } {
  return typeof schema === "object" && schema !== null && "properties" in schema;
}
