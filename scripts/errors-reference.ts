/**
 * Generates `docs/errors.md`: every error of the API with its status, title, remedy, and the routes
 * that return it. Run it to update the page; `npm run check` fails while it is out of date, or a
 * code or title has two definitions.
 *
 * It parses the sources for calls of `defineError`, so no error is missed; the routes declare which
 * of them they return.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { type Node, parseSync, Visitor } from "oxc-parser";
import { dialects } from "../packages/insulae/src/dialects/index.ts";
import {
  coreFeatures,
  developmentFeatures,
  standardFeatures,
} from "../packages/insulae/src/features/index.ts";
import type { Feature, Route } from "../packages/insulae/src/kernel/feature/feature.ts";
import { routePath } from "../packages/insulae/src/kernel/http/api/declarations.ts";
import { ownErrors } from "../packages/insulae/src/kernel/http/api/declared-errors.ts";
import { etagSources } from "../packages/insulae/src/kernel/http/api/etag-sources.ts";
import {
  sharedErrors,
  sharedErrorsOfChanges,
} from "../packages/insulae/src/kernel/http/api/shared-errors.ts";
import { remedies } from "./errors-remedies.ts";

const page = "docs/errors.md";
const source = "packages/insulae/src/";

interface Definition {
  readonly file: string;
  readonly code: string;
  readonly status: number;
  readonly title: string;
}

/** The errors that a source file defines; a definition without literals is a problem. */
export function readDefinitions(file: string, text: string) {
  const definitions: Definition[] = [];
  const problems: string[] = [];
  new Visitor({
    CallExpression({ callee, arguments: given, start }) {
      if (callee.type !== "Identifier" || callee.name !== "defineError") return;
      const [code, status, title] = given.map(literalOf);
      if (typeof code === "string" && typeof status === "number" && typeof title === "string") {
        definitions.push({ file, code, status, title });
        return;
      }
      const line = text.slice(0, start).split("\n").length;
      problems.push(`${file}:${line} call defineError with literals: a code, a status, a title`);
    },
  }).visit(parseSync(file, text).program);
  return { definitions, problems };
}

const literalOf = (node: Node): unknown => (node.type === "Literal" ? node.value : undefined);

/** Clients tell errors apart by code, people by title: both must be unique. */
export function duplicates(definitions: readonly Definition[]): string[] {
  const groups = [
    ...Map.groupBy(definitions, ({ code }) => `the code ${code}`),
    ...Map.groupBy(definitions, ({ status, title }) => `the title "${title}" (${status})`),
  ];
  return groups
    .filter(([, group]) => group.length > 1)
    .map(([what, group]) => {
      const where = group.map(({ code, file }) => `${code} in ${file}`).join(" and ");
      return `${what} is defined ${group.length} times: ${where}`;
    });
}

const read = globSync(`${source}**/*.ts`, { exclude: ["**/*.test.ts", "**/*-fixture.ts"] })
  .toSorted()
  .map((file) => readDefinitions(file, readFileSync(file, "utf8")));
const definitions = read.flatMap((each) => each.definitions);

const features: readonly Feature[] = [
  ...coreFeatures,
  ...developmentFeatures,
  ...standardFeatures,
  ...dialects,
];
const shown = etagSources(features);

/** The routes that declare each error, by code. */
const declared = Map.groupBy(
  features.flatMap(({ name: feature, routes }) =>
    routes.flatMap((route) => {
      const codes = new Set(ownErrors(route, shown).map(({ code }) => code));
      return [...codes].map((code) => ({ feature, code, name: nameOf(route) }));
    }),
  ),
  ({ code }) => code,
);

function nameOf(route: Route): string {
  return `\`${route.method} ${routePath(route)}\``;
}

const mostRoutes = 3;
const mostFeatures = 6;

function routesOf(code: string): string {
  const routes = declared.get(code) ?? [];
  if (routes.length <= mostRoutes) return routes.map(({ name }) => name).join("<br>");
  const names = [...new Set(routes.map(({ feature }) => feature))].toSorted();
  const whose = names.length > mostFeatures ? `${names.length} features` : names.join(", ");
  return `${routes.length} routes of ${whose}`;
}

const sentencesOf = (title: string): string[] => title.split(/(?<=\.) /);
const hasRemedy = ({ title }: Definition): boolean => sentencesOf(title).length > 1;

/**
 * "It is gone. Look elsewhere.": the second sentence is the remedy; for other titles it is in the
 * map.
 */
function splitTitle({ code, status, title }: Definition) {
  const [wrong = "", ...rest] = sentencesOf(title);
  if (rest.length > 0) return { wrong, remedy: rest.join(" ") };
  const missing = status === 404 && code.endsWith("_not_found") ? notFoundRemedy : undefined;
  const remedy = remedies[code] ?? missing;
  return { wrong, remedy: remedy === undefined ? undefined : `*${remedy}*` };
}

const notFoundRemedy = "Check the id: it may be deleted, or another tenant's.";

const cell = (text: string): string => text.replaceAll("|", "\\|");

function rowOf(definition: Definition): string {
  const { wrong, remedy = "" } = splitTitle(definition);
  const { code, status } = definition;
  const routes = isShared(code) ? "all" : routesOf(code);
  return `| \`${code}\` | ${status} | ${cell(wrong)} | ${cell(remedy)} | ${routes} |`;
}

const section = (heading: string, of: readonly Definition[]): string => `## ${heading}

| code | status | what is wrong | what to do | routes |
|---|---|---|---|---|
${of
  .toSorted((a, b) => a.status - b.status || (a.code < b.code ? -1 : 1))
  .map(rowOf)
  .join("\n")}
`;

const anyRoute = "All routes";
const changes = "Routes that change something or take a body";
const framework = "The rest of the framework";
const codesOf = (errors: readonly { readonly code: string }[]) =>
  new Set(errors.map(({ code }) => code));
const [ofAny, ofChanges] = [codesOf(sharedErrors), codesOf(sharedErrorsOfChanges)];
const isShared = (code: string): boolean => ofAny.has(code) || ofChanges.has(code);

function sectionOf({ code, file }: Definition): string {
  if (ofAny.has(code)) return anyRoute;
  if (ofChanges.has(code)) return changes;
  const [part, folder = ""] = file.slice(source.length).split("/");
  if (part === "dialects") return "Dialects";
  return part === "features" ? folder : framework;
}

const sections = Map.groupBy(definitions, sectionOf);
const first = [anyRoute, changes, framework];
const last = ["Dialects"];
const between = [...sections.keys()].filter((name) => ![...first, ...last].includes(name));
const tables = [...first, ...between.toSorted(), ...last].map((name) =>
  section(name, sections.get(name) ?? []),
);

const text = `# Errors

<!-- Made by scripts/errors-reference.ts -->

Every error that the API defines. [api.md](api.md#errors) shows what a response looks like; programs look at its
\`code\`, which is unique. Its \`title\` is both columns, "what is wrong" and "what to do"; advice in *italics* is
not part of it. \`detail\` says more where there is more to say: which permission, limit or setting.

The routes are those that declare an error. Where none is named, the framework answers before it has chosen a route,
or while it runs one, or the command line prints the error. A dialect's routes wrap errors in the shape of the system that they
stand for.

${tables.join("\n")}`;

const withoutRemedy = definitions
  .filter((definition) => splitTitle(definition).remedy === undefined)
  .map(({ code }) => `${code}: say what to do, in the title or in scripts/errors-remedies.ts`);
const needed = codesOf(definitions.filter((definition) => !hasRemedy(definition)));
const withoutNeed = Object.keys(remedies)
  .filter((code) => !needed.has(code))
  .map((code) => `scripts/errors-remedies.ts: no error ${code} needs one`);

export function errorsProblems(): string[] {
  return [
    ...read.flatMap((each) => each.problems),
    ...duplicates(definitions),
    ...withoutRemedy,
    ...withoutNeed,
    ...(readFileSync(page, "utf8") === text
      ? []
      : [`${page} is out of date: node scripts/errors-reference.ts`]),
  ];
}

if (import.meta.main) writeFileSync(page, text);
