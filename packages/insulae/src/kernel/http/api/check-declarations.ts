/**
 * Checks all features together before the server starts: duplicate names and addresses.
 * `declarations.ts` checks single routes and events. All problems are reported at once.
 */
import { isErrorFactory } from "../../feature/check-feature.ts";
import type { Feature, Route } from "../../feature/feature.ts";
import { refuse } from "../../lib/declaration-error.ts";
import type { ErrorFactory } from "../../lib/errors.ts";
import { featureNameProblems } from "../../lib/feature-names.ts";
import { type JsonSchema, namedSchemas } from "../../validation/schemas.ts";
import { eventProblems, responsesOf, routePath, routeProblems } from "./declarations.ts";
import { sharedErrors, sharedErrorsOfChanges } from "./shared-errors.ts";

/** @throws DeclarationError that lists every problem of every feature */
export const checkDeclarations = (features: readonly Feature[]): void =>
  refuse(declarationProblems(features));

export const declarationProblems = (features: readonly Feature[]): string[] => [
  ...featureNameProblems(features),
  ...doubled("permission", features, ({ permissions }) =>
    [...permissions].flatMap(([name, { aliases = [] }]) => [name, ...aliases]),
  ),
  ...doubledRoutes(features),
  ...features.flatMap(({ name, routes }) =>
    routes
      .filter((route) => isConsolePath(routePath(route)))
      .map((route) => `${name}: ${nameOf(route)}: the web console has /console and all below it`),
  ),
  ...doubled("event", features, ({ events }) => events.map(({ name }) => name)),
  ...doubled("job", features, ({ jobs }) => jobs.map(({ name }) => name)),
  ...doubled("mail", features, ({ mails }) => mails.map(({ name }) => name)),
  ...constraintProblems(features),
  ...codeProblems(features),
  ...schemaNameProblems(features),
  ...features.flatMap((feature) => [
    ...feature.events.flatMap((event) =>
      eventProblems(event, features).map(
        (problem) => `${feature.name}: event ${event.name}: ${problem}`,
      ),
    ),
    ...feature.routes.flatMap((route) =>
      routeProblems(route, features).map(
        (problem) => `${feature.name}: ${nameOf(route)}: ${problem}`,
      ),
    ),
  ]),
];

/** Of the web console, which no feature's route may have. */
const isConsolePath = (path: string): boolean => /^\/console(\/|$)/i.test(path);

const nameOf = (route: Route): string => `${route.method} ${routePath(route)}`;

/** The path as the router distinguishes it: without the names of parameters. */
const address = (route: Route): string => nameOf(route).replaceAll(/:[^/]+/g, ":");

function doubled(
  what: string,
  features: readonly Feature[],
  namesOf: (feature: Feature) => readonly string[],
): string[] {
  const declared = [...new Set(features)].flatMap((feature) =>
    namesOf(feature).map((name) => ({ name, by: feature.name })),
  );
  return [...Map.groupBy(declared, ({ name }) => name)]
    .filter(([, group]) => group.length > 1)
    .map(([name, group]) => `${what} ${name} is declared twice: ${byWhom(group)}`);
}

function doubledRoutes(features: readonly Feature[]): string[] {
  const declared = [...new Set(features)].flatMap((feature) =>
    feature.routes.map((route) => ({ route, by: feature.name })),
  );
  return [...Map.groupBy(declared, ({ route }) => address(route))]
    .filter(([, group]) => group.length > 1)
    .map(([, group]) => {
      const [first = "", ...others] = new Set(group.map(({ route }) => nameOf(route)));
      const same = others.length > 0 ? ` (${others.join(", ")} is the same address)` : "";
      return `route ${first} is declared twice${same}: ${byWhom(group)}`;
    });
}

const byWhom = (declared: readonly { readonly by: string }[]): string => {
  const features = [...new Set(declared.map(({ by }) => by))];
  return features.length === 1
    ? `both times by the feature ${features[0]}`
    : `by the features ${features.join(" and ")}`;
};

function constraintProblems(features: readonly Feature[]): string[] {
  const known = new Map<string, { readonly error: ErrorFactory; readonly by: string }>();
  const problems: string[] = [];
  for (const { name: by, constraints } of features) {
    for (const [name, error] of Object.entries(constraints)) {
      const other = known.get(name);
      if (other && other.error !== error)
        problems.push(`constraint ${name} has two errors: ${byWhom([other, { by }])}`);
      known.set(name, { error, by });
    }
  }
  return problems;
}

/** Codes must be unique: they are all that clients tell errors apart by. */
function codeProblems(features: readonly Feature[]): string[] {
  const owners = new Map<ErrorFactory, string>(
    [...sharedErrors, ...sharedErrorsOfChanges].map((error) => [error, "Insulae itself"]),
  );
  for (const { name, constraints, routes } of features) {
    const errors = [
      ...Object.values(constraints),
      ...routes.flatMap(({ options }) => options.errors ?? []),
    ];
    for (const error of errors.filter(isErrorFactory)) {
      if (!owners.has(error)) owners.set(error, name);
    }
  }
  return [...Map.groupBy(owners, ([{ code }]) => code)]
    .filter(([, group]) => group.length > 1)
    .map(([code, group]) => {
      const definitions = group.map(
        ([{ status, title }, by]) => `${status} ${JSON.stringify(title)} (${by})`,
      );
      return `error ${code} is defined ${group.length} times: ${definitions.join(", ")}`;
    });
}

/** A schema's `$id` must be unique: client types are named after it. */
function schemaNameProblems(features: readonly Feature[]): string[] {
  const named = features.flatMap(({ name, routes, events }) => [
    ...routes.flatMap((route) =>
      schemasOf(route).map((schema) => ({ schema, where: `${name}: ${nameOf(route)}` })),
    ),
    ...events.map((event) => ({ schema: event.schema, where: `${name}: event ${event.name}` })),
  ]);
  const found = new Map<string, Map<string, string>>();
  for (const { schema, where } of named) {
    for (const [id, text] of namedSchemas(schema)) {
      const texts = found.get(id) ?? new Map<string, string>();
      found.set(id, texts);
      if (!texts.has(text)) texts.set(text, where);
    }
  }
  return [...found]
    .filter(([, texts]) => texts.size > 1)
    .map(
      ([id, texts]) =>
        `$id ${JSON.stringify(id)} names ${texts.size} different schemas (${[...texts.values()].join("; ")}): give each its own name`,
    );
}

function schemasOf({ options }: Route): JsonSchema[] {
  const { params, query, body, response } = options;
  const responses = typeof response === "object" && response ? responsesOf(response).values() : [];
  // TypeBox schemas are JSON Schema.
  return [params, query, body, ...responses].filter(
    (schema) => typeof schema === "object" && schema !== null,
  ) as JsonSchema[];
}
