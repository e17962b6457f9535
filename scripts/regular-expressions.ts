/**
 * Checks that the time of every regular expression of the packages is linear in the length of the
 * text. Covers literals, `new RegExp("…")` and `pattern: "…"`. One that is super-linear, or can't
 * be analysed, fails the check unless an adjacent comment says what bounds the text; so does
 * `normalize()`, which is super-linear too:
 *
 *     // Bounded: 300 characters, checked above
 */
import { globSync, readFileSync } from "node:fs";
import { type Node, parseSync, Visitor } from "oxc-parser";

process.env.RECHECK_BACKEND = "pure"; // neither a JVM nor a binary
const { checkSync } = await import("recheck");

interface Expression {
  readonly line: number;
  /** Undefined if it is built at run time. */
  readonly source: string | undefined;
  readonly flags: string;
}

/** They read input from operators, our own files or PostgreSQL's programs. */
const trusted = [
  "**/cli/**",
  "**/config/**",
  "**/embedded-postgres/**",
  "**/schema/migration-files.ts",
  "**/engine/sql-rules.ts",
];
const tests = ["**/*.test.ts", "**/*-fixture.ts", "**/testing/**", "**/*.gen.ts"];

const files = (): string[] =>
  globSync("packages/*/src/**/*.ts", { exclude: [...trusted, ...tests] });

export const regularExpressionProblems = (): string[] =>
  files().flatMap((file) => problemsIn(file, readFileSync(file, "utf8")));

export function problemsIn(file: string, text: string): string[] {
  const lines = text.split("\n");
  const { expressions, normalising } = readSource(text);
  return [
    ...expressions
      .filter(({ line }) => !isExcused(lines, line))
      .flatMap((expression) => {
        const problem = problemOf(expression);
        return problem ? [`${file}:${expression.line} ${problem}`] : [];
      }),
    ...normalising
      .filter((line) => !isExcused(lines, line))
      .map((line) => `${file}:${line} normalize() takes quadratic time: use normalised()`),
  ];
}

function readSource(text: string) {
  const expressions: Expression[] = [];
  const normalising: number[] = [];
  const lineOf = (node: Node): number => text.slice(0, node.start).split("\n").length;
  const add = (node: Node, source: string | undefined, flags: string): void => {
    expressions.push({ line: lineOf(node), source, flags });
  };
  const addConstructed = (node: Node & { readonly arguments: readonly Node[] }): void => {
    const [pattern, flags] = node.arguments;
    add(node, textOf(pattern), textOf(flags) ?? "");
  };
  const isRegExp = (callee: Node): boolean => nameOf(callee) === "RegExp";
  new Visitor({
    Literal(node) {
      if ("regex" in node && node.regex) add(node, node.regex.pattern, node.regex.flags);
    },
    NewExpression(node) {
      if (isRegExp(node.callee)) addConstructed(node);
    },
    CallExpression(node) {
      if (isRegExp(node.callee)) addConstructed(node);
      const { callee } = node;
      if (callee.type === "MemberExpression" && nameOf(callee.property) === "normalize") {
        normalising.push(lineOf(node));
      }
    },
    Property(node) {
      const source = textOf(node.value);
      if (nameOf(node.key) === "pattern" && source !== undefined) add(node, source, "u");
    },
  }).visit(parseSync("module.ts", text).program);
  return { expressions, normalising };
}

const nameOf = (node: Node): string | undefined =>
  node.type === "Identifier" ? node.name : undefined;

function textOf(node: Node | undefined): string | undefined {
  if (node?.type === "Literal" && typeof node.value === "string") return node.value;
  return node?.type === "TemplateLiteral" && node.expressions.length === 0
    ? (node.quasis[0]?.value.cooked ?? undefined)
    : undefined;
}

/** The bound is in a comment on the line or directly above it. */
function isExcused(lines: readonly string[], line: number): boolean {
  const bound = /\/\/ Bounded: \S/;
  if (bound.test(lines[line - 1] ?? "")) return true;
  for (let above = line - 2; /^\s*\/\//.test(lines[above] ?? ""); above--) {
    if (bound.test(lines[above] ?? "")) return true;
  }
  return false;
}

function problemOf({ source, flags }: Expression): string | undefined {
  if (source === undefined) return "is built at run time: say what bounds it";
  // A match of bounded length takes bounded time at each position, which is linear.
  if (!/[*+]|\{\d+,/.test(source)) return undefined;
  // Maximum counts only slow the checker down; what is linear without them is linear with them.
  const simple = checkSync(withoutCounts(source), flags, { checker: "automaton", timeout: 60_000 });
  if (simple.status === "safe") return undefined;
  const exact = checkSync(source, flags, { timeout: 60_000 });
  if (exact.status === "safe") return undefined;
  const growth = exact.status === "vulnerable" ? exact.complexity.summary : "cannot be checked";
  return `/${source}/${flags}: ${growth}; anchor it, bound its repeats, or say what bounds the text`;
}

/** `{10,}` becomes `+`, `{0,63}` becomes `*`; `{2}` and the like stay. */
function withoutCounts(source: string): string {
  const token = /\\u\{[^}]*\}|\\[pP]\{[^}]*\}|\\.|\[(?:\\.|[^\]\\])*\]|\{(\d+)(,?)(\d*)\}|[\s\S]/gu;
  return source.replaceAll(token, (all, least?: string, comma?: string, most?: string) => {
    if (least === undefined) return all;
    if (Math.max(Number(least), Number(most)) <= 4 && (most !== "" || comma === "")) return all;
    return least === "0" ? "*" : "+";
  });
}

if (import.meta.main) {
  const started = performance.now();
  for (const problem of regularExpressionProblems()) console.log(problem);
  console.log(`${Math.round(performance.now() - started)} ms`);
}
