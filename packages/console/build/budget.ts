/** How many bytes of scripts, by gzip, each page may load before it can be used. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

interface Budget {
  readonly name: string;
  readonly page: string;
  /** Scripts that the page loads later, by a part of their names. */
  readonly with: readonly string[];
  readonly mostKb: number;
}

const budgets: readonly Budget[] = JSON.parse(
  readFileSync(new URL("./budget.json", import.meta.url), "utf8"),
);

/** @throws Error if a page is larger than it may be. */
export function checkBudget(dist: string, output: { write(text: string): unknown }): void {
  const over: string[] = [];
  for (const { name, page, with: later, mostKb } of budgets) {
    const scripts = scriptsOf(dist, page, later);
    const kb = [...scripts].reduce((sum, path) => sum + sizeOf(dist, path), 0) / 1000;
    const line = `${name}: ${kb.toFixed(1)} kB of ${mostKb} kB`;
    output.write(`${line}\n`);
    if (kb > mostKb) over.push(line);
  }
  if (over.length > 0) throw new Error(`The console is too large: ${over.join("; ")}`);
}

/** The scripts that a page loads: those that it names, and what these import. */
function scriptsOf(dist: string, page: string, later: readonly string[]): Set<string> {
  const html = readFileSync(join(dist, page), "utf8");
  const found = new Set<string>();
  const add = (path: string) => {
    if (found.has(path)) return;
    found.add(path);
    const code = readFileSync(join(dist, path), "utf8");
    for (const [, name] of code.matchAll(/(?:from|import) ?["`]\.\/([\w.-]+\.js)["`]/g)) {
      add(`assets/${name}`);
    }
    for (const [, name] of code.matchAll(/import\(["`]\.\/([\w.-]+\.js)["`]\)/g)) {
      if (later.some((part) => name?.startsWith(part))) add(`assets/${name}`);
    }
  };
  for (const [, path] of html.matchAll(/(?:src|href)="\.\/(assets\/[\w.-]+\.js)"/g)) {
    if (path) add(path);
  }
  return found;
}

const sizeOf = (dist: string, path: string): number =>
  gzipSync(readFileSync(join(dist, path)), { level: 9 }).length;
