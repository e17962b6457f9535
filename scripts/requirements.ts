/** Reads the requirements of the five sources: `docs/requirements/s0.yaml` to `s4.yaml`. */
import { globSync, readFileSync } from "node:fs";
import { parse } from "yaml";

export interface Requirement {
  readonly id: string;
  readonly title: string;
  /** The files that implement it. */
  readonly done: readonly string[];
  /** The decision that replaced it: a sentence, which may name documents. */
  readonly replaced: string | undefined;
}

export interface Source {
  /** `S1` */
  readonly name: string;
  readonly system: string;
  readonly requirements: readonly Requirement[];
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

/** One source's requirements, and problems of their format. */
export function sourceIn(name: string, text: string): { source: Source; problems: string[] } {
  const problems: string[] = [];
  // checked below, field by field
  const data = parse(text) as { system?: unknown; requirements?: Record<string, unknown> };
  const requirements = Object.entries(data.requirements ?? {}).map(([id, entry], index) => {
    const { title, done, replaced, ...rest } = Object(entry) as Record<string, unknown>;
    if (id !== `${name}-${String(index + 1).padStart(3, "0")}`) problems.push(`${id} out of turn`);
    if (!isText(title) || title.length > 100) problems.push(`${id} needs a title of ≤ 100 letters`);
    for (const key of Object.keys(rest)) problems.push(`${id}: ${key} is unknown`);
    const files = Array.isArray(done) ? done : [];
    if (done !== undefined && !(files.length > 0 && files.every(isText))) {
      problems.push(`${id}: done must be a list of files`);
    }
    if (replaced !== undefined && !isText(replaced)) {
      problems.push(`${id}: replaced must be a string`);
    }
    return {
      id,
      title: String(title),
      done: files.map(String),
      replaced: isText(replaced) ? replaced : undefined,
    };
  });
  if (!isText(data.system)) problems.push(`${name} needs the name of its system`);
  return { source: { name, system: String(data.system), requirements }, problems };
}

/** All sources in order. */
export function sources(): { sources: Source[]; problems: string[] } {
  const read = globSync("docs/requirements/s[0-9].yaml")
    .toSorted()
    .map((file) => sourceIn(file.slice(-7, -5).toUpperCase(), readFileSync(file, "utf8")));
  return {
    sources: read.map(({ source }) => source),
    problems: read.flatMap(({ problems }) => problems),
  };
}
