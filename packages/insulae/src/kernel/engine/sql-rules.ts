/**
 * What may be sent where. A lane carries the statements of many tenants one behind the other, so
 * nothing may be sent over it that changes the connection, keeps it, or ends the transaction that
 * holds the scope; and no statement may set its own scope. PostgreSQL's privileges and policies are
 * the wall; this is the sign on it, and it is read once for each text.
 */

export type StatementKind = "read" | "write";

export interface StatementRules {
  /** `read` only if it plainly is one; the server holds it to that (a read-only transaction). */
  readonly kind: StatementKind;
  /** It takes rows away and adds none. */
  readonly deletes: boolean;
  /** Why it must not be sent over a lane. */
  readonly refusedOnLane: string | undefined;
  /** Why it must not be sent in a transaction either. */
  readonly refusedInTransaction: string | undefined;
}

/** @returns what may be done with the statement, known from its words. */
export function rulesOf(text: string): StatementRules {
  const { words, names } = wordsOf(text);
  const command = words[0] ?? "";
  const everywhere = forbiddenName(names) ?? forbiddenCommand(words);
  const onLane = laneCommands.has(command)
    ? `${command} needs a connection of its own: use db.transaction()`
    : undefined;
  const reads = readCommands.has(command) && !words.some((word) => writingWords.has(word));
  return {
    kind: reads ? "read" : "write",
    deletes: words.includes("delete") && !words.includes("insert") && !words.includes("merge"),
    refusedOnLane: everywhere ?? onLane,
    refusedInTransaction: everywhere,
  };
}

const readCommands = new Set(["select", "with", "table", "values", "show"]);

/** In `select … for update`, `for share`, `into`, or a data-modifying `with`. */
const writingWords = new Set(
  "insert update delete merge truncate into share nextval setval pg_notify".split(" "),
);

/** They end or begin a transaction, change the session, or speak another protocol. */
const forbidden = new Set(
  (
    "begin start commit end abort prepare execute deallocate copy listen unlisten reset discard " +
    "load call do"
  ).split(" "),
);

/** Harmless in a transaction of one's own. */
const laneCommands = new Set(
  "set lock declare fetch move close savepoint release rollback".split(" "),
);

function forbiddenCommand(words: readonly string[]): string | undefined {
  const [first = "", second = "", third = ""] = words;
  if (forbidden.has(first)) return `${first} is not for statements: they share connections`;
  if (first === "rollback" && second !== "to") return "rollback: throw inside db.transaction()";
  if (first === "set" && !isLocalSetting(second, third)) {
    return "set: only `set local`, in a transaction, and not what holds the scope";
  }
  return undefined;
}

const scopeSettings = new Set(
  "app role session row_security search_path transaction_read_only".split(" "),
);

const isLocalSetting = (second: string, third: string): boolean =>
  second === "constraints" ||
  second === "transaction" ||
  (second === "local" && !scopeSettings.has(third));

function forbiddenName(names: readonly string[]): string | undefined {
  for (const name of names) {
    if (name === "set_config") return "set_config: the scope of a statement is not its own to set";
    if (/^(query|cursor)_to_xml/.test(name)) return `${name} runs text that nobody has looked at`;
    if (/^pg_(try_)?advisory_(lock|unlock)/.test(name)) {
      return `${name} outlives the statement: use pg_advisory_xact_lock`;
    }
    if (name.includes("\\")) return "an identifier with unicode escapes";
  }
  return undefined;
}

const token =
  /--[^\n]*|\/\*|[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|[uU]&"(?:[^"]|"")*"|"(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*|\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/gu;

/** The words of a statement without comments and literals, and all its identifiers. */
function wordsOf(text: string): { words: string[]; names: string[] } {
  const words: string[] = [];
  const names: string[] = [];
  token.lastIndex = 0;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [found] = match;
    if (found === "/*") token.lastIndex = endOfComment(text, token.lastIndex);
    else if (found.startsWith("$")) {
      const end = text.indexOf(found, token.lastIndex);
      token.lastIndex = end < 0 ? text.length : end + found.length;
    } else if (found.startsWith('"')) names.push(found.slice(1, -1));
    else if (/^u&"/i.test(found)) names.push(found.slice(3, -1).replace(/^/, "\\"));
    else if (!found.startsWith("--") && !found.endsWith("'")) {
      const word = found.toLowerCase();
      words.push(word);
      names.push(word);
    }
  }
  return { words, names };
}

/** Comments nest. */
function endOfComment(text: string, from: number): number {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = from;
  let depth = 1;
  for (let match = edge.exec(text); match !== null; match = edge.exec(text)) {
    depth += match[0] === "/*" ? 1 : -1;
    if (depth === 0) return edge.lastIndex;
  }
  return text.length;
}
