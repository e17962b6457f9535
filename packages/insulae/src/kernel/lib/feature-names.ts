import { fileURLToPath } from "node:url";

interface NamedFeature {
  readonly name: string;
  readonly migrations: URL | undefined;
  readonly routes?: readonly { readonly method: string; readonly path: string }[];
}

/** Features of one name, and what tells them apart for whoever has to rename one. */
export function featureNameProblems(features: readonly NamedFeature[]): string[] {
  return [...Map.groupBy(features, ({ name }) => name)]
    .filter(([, group]) => group.length > 1)
    .map(([name, group]) => {
      if (new Set(group).size === 1)
        return `the feature ${name} is in the list twice: list it once`;
      const marks = group.map(({ migrations, routes: [route] = [] }) =>
        migrations
          ? `one with migrations in ${fileURLToPath(migrations)}`
          : route
            ? `one with the route ${route.method} ${route.path}`
            : "one without migrations and routes",
      );
      return `two features have the same name, ${name} (${marks.join(", ")}): rename one`;
    });
}
