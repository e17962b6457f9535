/**
 * Generates `docs/coverage.md` from `docs/requirements/`: every requirement of the five sources
 * with its implementation and tests, or the decision that replaced it. Run it to update the page;
 * `npm run check` fails while it is out of date, a requirement has neither test nor decision, or a
 * named test does not exist.
 */
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { type Requirement, type Source, sources } from "./requirements.ts";
import { type Shown, shownIn } from "./shown-by.ts";

const page = "docs/coverage.md";

/** Documents that a decision names. */
const documents = /\bdocs\/[\w./-]+\.md\b/g;

/** Problems of the requirements and of their evidence. */
export function problemsOf(
  all: readonly Requirement[],
  shown: readonly Shown[],
  exists: (file: string) => boolean,
): string[] {
  const known = new Set(all.map(({ id }) => id));
  const withTest = new Set(shown.map(({ id }) => id));
  const unknown = shown.filter(({ id }) => !known.has(id));
  return [
    ...unknown.map(({ id, file, test }) => `${file}: "${test}" shows ${id}, which does not exist`),
    ...all.flatMap(({ id, done, replaced }) => {
      const files = [...done, ...(replaced?.match(documents) ?? [])];
      const problems = files
        .filter((file) => !exists(file))
        .map((file) => `${id} names ${file}, which does not exist`);
      if (replaced) return problems;
      if (!withTest.has(id)) problems.push(`${id} has neither a test nor a replacing decision`);
      if (done.length === 0) problems.push(`${id} does not name its implementation`);
      return problems;
    }),
  ];
}

const escaped = (text: string): string =>
  text.replaceAll("<", "&lt;").replaceAll(/[\\|*_`[\]]/g, "\\$&");

/** Without the common part of most paths, linked relative to the page. */
const link = (file: string): string => {
  const name = file.replace("packages/insulae/src/", "").replace("packages/insulae/", "");
  return `[${escaped(name)}](${file.startsWith("docs/") ? file.slice(5) : `../${file}`})`;
};

function evidence({ id, replaced }: Requirement, shown: readonly Shown[]): string {
  const byFile = Map.groupBy(
    shown.filter((one) => one.id === id),
    ({ file }) => file,
  );
  return [
    ...[...byFile].map(([file, tests]) => {
      const named = new Set(tests.map(({ test }) => escaped(test)));
      return `${link(file)}: ${[...named].join("; ")}`;
    }),
    ...(replaced ? [replaced.replaceAll(documents, (name) => link(name))] : []),
  ].join("<br>");
}

const rowOf = (requirement: Requirement, shown: readonly Shown[]): string =>
  `| ${requirement.id} | ${escaped(requirement.title)} | ${requirement.done.map(link).join("<br>")} | ${evidence(requirement, shown)} |`;

export function pageOf(all: readonly Source[], shown: readonly Shown[]): string {
  const count = all.flatMap((source) => source.requirements).length;
  return `# What was asked for, and where it is

<!-- Made by scripts/coverage-reference.ts -->

Insulae answers to five sources: documents that describe five systems, with requests that can be sent
as they stand. This table has all ${count} things that they ask for: where each is done, the tests that
show it, or the decision that stands in its place.

${all
  .map(
    ({ name, system, requirements: rows }) => `## ${name}: ${system}

| | asked for | done in | shown by, or replaced by |
|---|---|---|---|
${rows.map((row) => rowOf(row, shown)).join("\n")}
`,
  )
  .join("\n")}`;
}

function read() {
  const files = globSync("{packages,examples,acceptance,scripts}/**/*.test.ts", {
    exclude: ["**/node_modules/**"],
  }).toSorted();
  const { shown, problems: unshown } = shownIn(
    readFileSync("docs/requirements/shown-by.yaml", "utf8"),
    files.map((file) => [file, readFileSync(file, "utf8")]),
  );
  const { sources: all, problems } = sources();
  return {
    text: pageOf(all, shown),
    problems: [
      ...problems,
      ...unshown,
      ...problemsOf(
        all.flatMap((source) => source.requirements),
        shown,
        existsSync,
      ),
    ],
  };
}

export function coverageProblems(): string[] {
  const { text, problems } = read();
  if (existsSync(page) && readFileSync(page, "utf8") === text) return problems;
  return [...problems, `${page} is out of date: node scripts/coverage-reference.ts`];
}

if (import.meta.main) {
  const { text, problems } = read();
  writeFileSync(page, text);
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
