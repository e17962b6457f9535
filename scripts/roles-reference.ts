/**
 * Generates the table in `docs/roles.md`: every route with its permission and the least powerful
 * system role that holds it, from the routes' declarations. Run it to update the table; `npm run
 * check` fails while it is out of date.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dialects } from "../packages/insulae/src/dialects/index.ts";
import { coreFeatures, standardFeatures } from "../packages/insulae/src/features/index.ts";
import type { Feature, Route } from "../packages/insulae/src/kernel/feature/feature.ts";
import { routePath } from "../packages/insulae/src/kernel/http/api/declarations.ts";

const page = "docs/roles.md";
const begin = "<!-- Made by scripts/roles-reference.ts -->\n";

const features: readonly Feature[] = [...coreFeatures, ...standardFeatures, ...dialects];
const permissions = new Map(features.flatMap((feature) => [...feature.permissions]));

function whoMay({ options: { permission } }: Route): string {
  const definition = permissions.get(permission);
  if (definition) return `\`${permission}\` | ${definition.role}`;
  if (permission === "public") return "| anybody";
  return permission === "platform" ? "| platform administrators" : "| anybody signed in";
}

const rowOf = (route: Route): string =>
  `| \`${route.method} ${routePath(route)}\` | ${whoMay(route)} |`;

const tableOf = ({ name, routes }: Feature): string =>
  `### ${name}

| route | permission | least role |
|---|---|---|
${routes.map(rowOf).join("\n")}
`;

const table = features
  .filter(({ routes }) => routes.length > 0)
  .map(tableOf)
  .join("\n");

/** The page with a current table. */
function rewritten(): string {
  const text = readFileSync(page, "utf8");
  return `${text.slice(0, text.indexOf(begin) + begin.length)}\n${table}`;
}

export function rolesProblems(): string[] {
  return readFileSync(page, "utf8") === rewritten()
    ? []
    : [`${page} is out of date: node scripts/roles-reference.ts`];
}

if (import.meta.main) writeFileSync(page, rewritten());
