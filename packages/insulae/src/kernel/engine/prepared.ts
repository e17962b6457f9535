/**
 * The prepared statements of one connection. A statement is parsed when it is first used, described
 * then and never again, and known by a name that is used once: a Parse that fails, or a statement
 * that is closed while others are on their way, can never be taken for another.
 *
 * Statements are kept by schema too: PostgreSQL plans anew whenever the search_path differs from the
 * one a plan was made under, so that one plan for two schemas would be made over and over.
 *
 * A migration can outdate what a statement returns; it is then prepared anew, with another text. A pooler
 * gives statements of one text to PostgreSQL once for each of its connections, so the same text would lead
 * to the outdated statement again.
 */
import type { Field } from "./pg-messages.ts";

export interface ServerStatement {
  readonly name: string;
  readonly text: string;
  /** The text that it is parsed with. */
  readonly sql: string;
  readonly schema: string;
  /** The server is known to have it; until then only its Parse has been sent. */
  ready: boolean;
  columns: readonly Column[];
  lastUsed: number;
}

export interface Column {
  readonly name: string;
  readonly parse: (text: string) => unknown;
}

export interface PreparedStatements {
  /** The statement, and whether it has yet to be parsed. */
  use(text: string, schema: string): { statement: ServerStatement; isNew: boolean };
  /** The server may not have it, or no longer as it was described. */
  forget(statement: ServerStatement): void;
  /** A migration has changed what it returns: it is forgotten, and no text of before is parsed again. */
  outdate(statement: ServerStatement): void;
  /** The names to close, to be sent before anything else; each is given once. */
  takeClosed(): readonly string[];
  readonly size: number;
}

/**
 * When a statement of this process was last found outdated; 0: never. The time, so that no process
 * comes by a number that another had before a later migration.
 */
let outdatedAt = 0;
const marked = (text: string): string => (outdatedAt === 0 ? text : `${text}\n/* ${outdatedAt} */`);

/** @param limit how many statements are kept; beyond it the least recently used is closed. */
export function createPreparedStatements(limit: number): PreparedStatements {
  const bySchema = new Map<string, Map<string, ServerStatement>>();
  let closed: string[] = [];
  let size = 0;
  let clock = 0;

  const remove = (statement: ServerStatement) => {
    const byText = bySchema.get(statement.schema);
    if (byText?.get(statement.text) !== statement) return;
    byText.delete(statement.text);
    if (byText.size === 0) bySchema.delete(statement.schema);
    size -= 1;
    closed.push(statement.name);
  };

  // A scan: it happens only where a new statement meets a full cache, and costs a few microseconds.
  const removeOldest = () => {
    let oldest: ServerStatement | undefined;
    for (const byText of bySchema.values()) {
      for (const each of byText.values()) {
        if (oldest === undefined || each.lastUsed < oldest.lastUsed) oldest = each;
      }
    }
    if (oldest !== undefined) remove(oldest);
  };

  return {
    use(text, schema) {
      clock += 1;
      const known = bySchema.get(schema)?.get(text);
      if (known !== undefined) {
        known.lastUsed = clock;
        return { statement: known, isNew: false };
      }
      if (size >= limit) removeOldest();
      const statement: ServerStatement = {
        name: `s${clock.toString(36)}`,
        text,
        sql: marked(text),
        schema,
        ready: false,
        columns: [],
        lastUsed: clock,
      };
      let byText = bySchema.get(schema);
      if (byText === undefined) {
        byText = new Map();
        bySchema.set(schema, byText);
      }
      byText.set(text, statement);
      size += 1;
      return { statement, isNew: true };
    },
    forget: remove,
    outdate(statement) {
      // Others of the same mark are found outdated in the same moment: one new mark is for all.
      if (statement.sql === marked(statement.text)) {
        outdatedAt = Math.max(Date.now(), outdatedAt + 1);
      }
      remove(statement);
    },
    takeClosed() {
      if (closed.length === 0) return closed;
      const taken = closed;
      closed = [];
      return taken;
    },
    get size() {
      return size;
    },
  };
}

export const toColumns = (
  fields: readonly Field[],
  parserOf: (oid: number) => (text: string) => unknown,
): readonly Column[] =>
  fields.map((field) => ({ name: field.name, parse: parserOf(field.typeOid) }));
