/** The code blocks of a documentation page, so that tests can run them unchanged. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

export interface Block {
  /** The nearest heading above, of any level. */
  readonly heading: string;
  readonly language: string;
  readonly code: string;
  /** The file named in the first line: `// src/notes.ts`, `-- migrations/0001_notes.sql`. */
  readonly file: string | undefined;
}

/** @param page from the repository's root: `docs/queries.md` */
export async function blocksOf(page: string): Promise<readonly Block[]> {
  const text = await readFile(join(import.meta.dirname, "..", page), "utf8");
  let heading = "";
  return [...text.matchAll(/^#+ (.+)$|^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(
    ([, title, language = "", code = ""]) => {
      if (title !== undefined) heading = title;
      if (title !== undefined) return [];
      return [{ heading, language, code, file: /^(?:\/\/|--) (\S+\.\w+)\n/.exec(code)?.[1] }];
    },
  );
}

/** Writes a block to the file that it names. */
export async function writeBlock(folder: string, { file, code }: Block): Promise<void> {
  if (file === undefined) throw new Error(`a block names no file:\n${code}`);
  const path = join(folder, file);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, code);
}
