/**
 * The checks of `feature()` on a feature's options. TypeScript finds most problems, but not in
 * JavaScript applications, behind casts, or with circular imports. Checks across features are in
 * `http/api/check-declarations.ts`; of files in `schema/migration-files.ts`; of the database in
 * `schema/feature-tables.ts`.
 */

import { systemRoles } from "../identity/permission-definition.ts";
import { describeValue, refuse, unknownNames } from "../lib/declaration-error.ts";
import type { Route } from "./route.ts";

/** Reserved: Insulae's own names in the migration ledger. */
const ownNames: readonly string[] = ["app", "control"];

/** @throws DeclarationError */
export function checkFeature(
  name: unknown,
  options: unknown,
  optionNames: readonly string[],
): void {
  if (typeof name !== "string" || !/^[a-z][a-z0-9-]*$/.test(name)) {
    refuse([`feature name ${JSON.stringify(name)}: use [a-z][a-z0-9-]*`]);
  }
  if (ownNames.includes(String(name))) {
    refuse([`feature name ${JSON.stringify(name)}: this name is reserved; use another`]);
  }
  if (typeof options !== "object" || options === null) {
    refuse([`${name}: its options are ${describeValue(options)}`]);
  }
  const given = options as Readonly<Record<string, unknown>>; // it is an object
  const problems = [
    ...unknownNames(given, optionNames),
    ...permissionProblems(given.permissions),
    ...migrationsProblems(given.migrations),
    ...textsProblems("tables", given.tables, /./, 'a table\'s name ("notes")'),
    ...textsProblems("dependsOn", given.dependsOn, /./, 'a feature\'s name ("contacts")'),
    ...constraintProblems(given.constraints),
    ...listProblems("mails", given.mails, "mailTemplate()", ["name", "compose"]),
    ...listProblems("jobs", given.jobs, "job() or platformJob()", ["name", "run"]),
    ...eventProblems(given.events),
    ...functionProblems(given),
  ];
  refuse(problems.map((problem) => `${name}: ${problem}`));
}

function permissionProblems(permissions: unknown): string[] {
  return entriesOf(permissions).flatMap(([name, definition]) => {
    const where = `permission ${JSON.stringify(name)}`;
    const form = /^[a-z][a-z0-9-]*:[a-z][a-z0-9-]*$/.test(name)
      ? []
      : [`${where}: use resource:action in lower case`];
    const { description, role } =
      typeof definition === "string"
        ? { description: definition, role: "admin" }
        : (Object(definition) as { readonly description?: unknown; readonly role?: unknown });
    return [
      ...form,
      ...(typeof description === "string" && description.trim()
        ? []
        : [`${where} has no description: describe what it allows, for administrators`]),
      ...((systemRoles as readonly unknown[]).includes(role)
        ? []
        : [`${where}: there is no role ${JSON.stringify(role)}; use ${systemRoles.join(", ")}`]),
    ];
  });
}

function migrationsProblems(migrations: unknown): string[] {
  if (migrations === undefined) return [];
  return migrations instanceof URL && migrations.protocol === "file:"
    ? []
    : ['migrations is not a folder URL: use new URL("./migrations/", import.meta.url)'];
}

function textsProblems(option: string, given: unknown, form: RegExp, what: string): string[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) return [`${option} is not a list`];
  return given.flatMap((each, index) =>
    typeof each === "string" && form.test(each)
      ? []
      : [`${option}[${index}] is not ${what}: ${JSON.stringify(each) ?? describeValue(each)}`],
  );
}

const constraintProblems = (constraints: unknown): string[] =>
  entriesOf(constraints).flatMap(([name, error]) =>
    isErrorFactory(error)
      ? []
      : [`constraint ${name}: its error is ${describeValue(error)}; make it with defineError()`],
  );

export const isErrorFactory = (value: unknown): boolean =>
  typeof value === "function" && "code" in value && "status" in value;

function listProblems(
  option: string,
  given: unknown,
  maker: string,
  members: readonly string[],
): string[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) return [`${option} is not a list`];
  return given.flatMap((each: unknown, index) =>
    typeof each === "object" && each !== null && members.every((member) => member in each)
      ? []
      : [`${option}[${index}] is ${describeValue(each)}; make it with ${maker}`],
  );
}

function eventProblems(events: unknown): string[] {
  return entriesOf(events).flatMap(([name, event]) => {
    const { permission, data } = Object(event) as { permission?: unknown; data?: unknown };
    return [
      ...(typeof permission === "string" ? [] : [`event ${name} has no permission`]),
      ...(typeof data === "object" && data !== null
        ? []
        : [`event ${name}: its data is ${describeValue(data)}; give a schema`]),
    ];
  });
}

const functionProblems = (given: Readonly<Record<string, unknown>>): string[] =>
  ["routes", "onStart", "onStop", "onRequest", "onResponse"]
    .filter((option) => given[option] !== undefined && typeof given[option] !== "function")
    .map((option) => `${option} is not a function`);

const entriesOf = (value: unknown): [string, unknown][] =>
  typeof value === "object" && value !== null ? Object.entries(value) : [];

/**
 * @param returned the result of the feature's `routes`
 * @param declared the routes that the builder made for it
 * @throws DeclarationError
 */
export function checkRoutes(name: string, returned: unknown, declared: Iterable<Route>): void {
  if (!Array.isArray(returned)) {
    refuse([`${name}: routes returned ${describeValue(returned)}; return the list of its routes`]);
  }
  const routes = returned as readonly (Partial<Route> | undefined)[]; // checked above
  const addresses = new Set(routes.map((route) => `${route?.method} ${route?.path}`));
  refuse([
    ...routes.flatMap((each, index) => {
      const isRoute = typeof each === "object" && each !== null && "method" in each;
      if (!isRoute) {
        return [
          `${name}: item ${index + 1} of its routes is ${describeValue(each)}; make it with r.get() …`,
        ];
      }
      return typeof each.options === "object" && each.options !== null
        ? []
        : [`${name}: ${each.method} ${each.path}: its options are ${describeValue(each.options)}`];
    }),
    ...[...declared]
      // Copies are fine: some features derive their routes from others.
      .filter(({ method, path }) => !addresses.has(`${method} ${path}`))
      .map(
        ({ method, path }) =>
          `${name}: ${method} ${path} is declared but missing from the list that routes returns`,
      ),
  ]);
}
