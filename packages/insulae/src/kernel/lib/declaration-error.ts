/** Errors in an application's declarations that prevent it from starting. */

/** Thrown before anything is opened or migrated. Lists all problems at once. */
export class DeclarationError extends Error {
  override readonly name = "DeclarationError";
  /** Each says what is wrong, where, and how to fix it. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `The application's declarations are invalid:\n${problems.map((each) => `- ${each}`).join("\n")}`,
    );
    this.problems = problems;
  }
}

/** @throws DeclarationError if there are problems */
export function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new DeclarationError([...new Set(problems)]);
}

/** Adds the problems that the work throws to the list. @returns undefined if there were any */
export async function collecting<Result>(
  problems: string[],
  work: () => Result | Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DeclarationError)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}

/** The unknown names among an object's properties, each with a suggestion. */
export function unknownNames(given: object, known: Iterable<string>): string[] {
  const names = [...known];
  return Object.keys(given)
    .filter((name) => !names.includes(name))
    .map((name) => `${name} is not an option${hint(name, names)}`);
}

/** `; did you mean tables?`, or empty if no name is similar. */
export function hint(name: string, names: Iterable<string>): string {
  const distances = [...names].map((each) => ({ each, far: distance(name, each) }));
  const [best] = distances.toSorted((a, b) => a.far - b.far);
  return best && best.far <= Math.max(1, name.length / 3) ? `; did you mean ${best.each}?` : "";
}

/** The edit distance (Levenshtein). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...to].entries()) {
      const [above = 0, diagonal = 0, left = 0] = [row[j + 1], row[j], next[j]];
      next.push(Math.min(above + 1, left + 1, diagonal + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** Describes an unexpected value. Undefined is mostly caused by an import cycle. */
export function describeValue(value: unknown): string {
  if (value === undefined) return "undefined: its import is misspelt or part of an import cycle";
  if (value === null) return "null";
  if (value instanceof Promise) return "a promise: await it";
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "a list: spread it (`...`)";
  return `a value of the type ${typeof value}`;
}
