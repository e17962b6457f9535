/**
 * Generates `docs/configuration.md` and `.env.example` from the table in `config.ts`. Run it to
 * update both; `npm run check` fails while one is out of date.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { variables } from "../packages/insulae/src/config/variables.ts";
import { writeExample } from "./environment-example.ts";

const page = "docs/configuration.md";

const cell = (text: string): string => text.replaceAll("|", "\\|");

const rows = Object.values(variables).map(({ names: [name, ...aliases], meaning }) => {
  const also = aliases.map((alias) => `\`${alias}\``).join(", ");
  return `| \`${name}\` | ${also} | ${cell(meaning)} |`;
});

const text = `# Configuration

Read from the environment, and from \`.env\` in the working directory by \`insulae\`; an application may
give \`config\` to \`createApp()\`, which wins. Several names of one setting may be given if they agree. All
problems are reported at once, and in production nothing is made up: what is required must be there.

\`.env\` is in UTF-8 and has a setting a line, \`NAME=value\`; a value with a \`#\` or several lines stands in
quotes. What could be read in two ways is refused with its line, and a name that is nearly a setting's is
asked about.

| variable | also | meaning |
|---|---|---|
${rows.join("\n")}

The database may be given in parts instead of \`DATABASE_URL\`: \`DB_HOST\`, \`DB_PORT\`, \`DB_USERNAME\`,
\`DB_PASSWORD\`, \`DB_NAME\`.
`;

export function configurationProblems(): string[] {
  return readFileSync(page, "utf8") === text
    ? []
    : [`${page} is out of date: node scripts/configuration-reference.ts`];
}

if (import.meta.main) {
  writeFileSync(page, text);
  writeExample();
}
