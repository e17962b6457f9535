/**
 * Generates `.env.example` from the table in `config.ts`: every setting, commented out, with its
 * description. `scripts/configuration-reference.ts` writes it; `npm run check` fails while it is
 * out of date.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { variables } from "../packages/insulae/src/config/variables.ts";

const file = ".env.example";

/** Wraps text into comment lines. */
const comment = (text: string): string => text.replace(/(.{1,98})(?: |$)/g, "# $1\n").trimEnd();

const entries = Object.values(variables).map(({ names: [name, ...aliases], meaning }) => {
  const also = aliases.length === 0 ? "" : ` (also ${aliases.join(", ")})`;
  return `${comment(`${meaning}${also}`)}\n#${name}=\n`;
});

const text = `# Copy it to .env, and take the # away where you set something. All of them are optional in
# development; what production needs, \`insulae doctor --production\` says.

${entries.join("\n")}`;

export function exampleProblems(): string[] {
  return readFileSync(file, "utf8") === text
    ? []
    : [`${file} is out of date: node scripts/configuration-reference.ts`];
}

export const writeExample = (): void => writeFileSync(file, text);
