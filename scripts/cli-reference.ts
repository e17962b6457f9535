/**
 * Generates `docs/cli.md` from the commands' own help. Run it to update the page; `npm run check`
 * fails while it is out of date.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { afterHelp, examples } from "../packages/insulae/src/cli/help.ts";
import { createProgram } from "../packages/insulae/src/cli/program.ts";

const page = "docs/cli.md";
const program = createProgram(async () => {}, false);
type Command = typeof program;

const cell = (text: string): string => text.replaceAll("|", "\\|");

const usageOf = ({ registeredArguments }: Command): string =>
  registeredArguments.map((each) => ` <${each.name()}${each.variadic ? "..." : ""}>`).join("");

function optionsOf({ options }: Command): string {
  if (options.length === 0) return "";
  const rows = options.map(({ flags, description, argChoices, defaultValue }) => {
    const choices = argChoices ? ` (${argChoices.join(", ")})` : "";
    const byDefault =
      defaultValue === undefined || defaultValue === false ? "" : `; default ${defaultValue}`;
    return `| \`${cell(flags)}\` | ${cell(description + choices + byDefault)} |`;
  });
  return `\n| option | |\n|---|---|\n${rows.join("\n")}\n`;
}

function sectionOf(command: Command, path: string): string {
  const name = `${path} ${command.name()}`;
  const heading = `${path === "insulae" ? "##" : "###"} \`${name}${usageOf(command)}\``;
  const parts = command.commands.map((each) => `\n${sectionOf(each, name)}`).join("");
  const shown = path === "insulae" ? examplesOf(command) : "";
  return `${heading}\n\n${sentence(command)}\n${optionsOf(command)}${shown}${parts}`;
}

const sentence = (command: Command): string => {
  const text = command.description();
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
};

function examplesOf(command: Command): string {
  const found = Object.entries(examples).find(([name]) => name === command.name())?.[1] ?? [];
  if (found.length === 0) return "";
  const width = Math.max(...found.map(([line]) => line.length));
  const lines = found.map(([line, meaning]) =>
    meaning === "" ? line : `${line.padEnd(width)}  # ${meaning}`,
  );
  return `\n\`\`\`sh\n${lines.join("\n")}\n\`\`\`\n`;
}

const text = `# The command line

\`insulae\` runs servers and looks after their databases. In an application of your own it is \`npx insulae\`; in this
repository \`npm run insulae --\`.
${optionsOf(program)}
\`\`\`text
${afterHelp.trim()}
\`\`\`

${program.commands.map((command) => sectionOf(command, "insulae")).join("\n")}`;

export function commandProblems(): string[] {
  return readFileSync(page, "utf8") === text
    ? []
    : [`${page} is out of date: node scripts/cli-reference.ts`];
}

if (import.meta.main) writeFileSync(page, text);
