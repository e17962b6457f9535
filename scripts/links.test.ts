/** Links in the docs lead to existing files and headings. */
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const pages = globSync(["*.md", "docs/**/*.md", "examples/*/README.md"]);
const withoutCode = (text: string): string => text.replaceAll(/^```[\s\S]*?^```$/gm, "");
const read = (file: string): string => withoutCode(readFileSync(file, "utf8"));

/** Heading anchors as GitHub generates them. */
const anchorsOf = (file: string): string[] =>
  [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );

const problemOf = (page: string, link: string): string | undefined => {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : join(dirname(page), path);
  if (!existsSync(target)) return `${page}: ${link}: there is no such file`;
  if (anchor === undefined || statSync(target).isDirectory()) return undefined;
  if (anchorsOf(target).includes(anchor)) return undefined;
  return `${page}: ${link}: there is no such heading`;
};

test("links between pages lead to files and headings that exist", () => {
  const problems = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link = ""]) => link)
      .filter((link) => !/^[a-z]+:/.test(link))
      .map((link) => problemOf(page, link)),
  );
  expect(pages.length).toBeGreaterThan(30);
  expect(problems.filter((problem) => problem !== undefined)).toEqual([]);
});
