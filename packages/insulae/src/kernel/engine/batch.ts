/**
 * One statement in its scope, as one pipelined batch of the extended-query protocol:
 *
 *     [Close …]                                 statements that fell out of the cache
 *     [Parse Bind Execute  begin]               first statement of a transaction
 *     [Parse] Bind Execute                      select set_config('app.current_tenant_id', $1, true)
 *                                                 (and search_path and role, for a schema's tenant)
 *     [Parse Describe] Bind Execute             the statement
 *     Sync
 *
 * On a lane that is one implicit transaction, so the scope ends with the statement, whatever becomes
 * of it: the Sync commits or rolls back, and with that the setting is gone. One round trip.
 *
 * The first row that comes back says which tenant the answer is for. A batch takes an answer only if
 * that is its own tenant and if exactly those messages come that answer its own, in their order; anything
 * else means that answers and statements on this connection no longer match, and the connection is destroyed.
 */
import type { DatabaseError } from "pg";
import { noteStatement } from "../lib/errors.ts";
import { ConnectionLost, endsSession, isOutdated, isStalePlan, noteDeletion } from "./errors.ts";
import { code, errorOf, fieldsOf, startsWith, tagOf, textsOf } from "./pg-messages.ts";
import { type PreparedStatements, type ServerStatement, toColumns } from "./prepared.ts";
import { dataSchema, type Scope } from "./scope.ts";
import type { WireBuffer } from "./wire-buffer.ts";

/** Rows as objects with parsed values, or the text of each column as the server sent it. */
export type RowMode = "objects" | "text";

export interface BatchRequest {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Undefined only for the control plane, and within a transaction that has its scope. */
  readonly scope: Scope | undefined;
  /** The schema that names are looked up in: statements are prepared once for each. */
  readonly schema: string;
  readonly rows: RowMode;
  /** The server is to refuse whatever writes. */
  readonly readOnly: boolean;
  /** `begin …`, sent ahead of the scope and the statement. */
  readonly begin?: string;
}

export interface StatementResult<Row = Record<string, unknown>> {
  readonly rows: Row[];
  /** The command tag without its numbers: `SELECT`, `INSERT`, `COMMIT`. */
  readonly command: string;
  readonly rowCount: number;
  /** For Kysely: how many rows were inserted, updated, deleted or merged. */
  readonly numAffectedRows?: bigint;
}

/** The end of a batch: its result, or its error. Called exactly once. */
export type BatchEnd = (error: Error | undefined, result: StatementResult | undefined) => void;

/** What a batch needs of the connection that it is sent over. */
interface BatchConnection {
  readonly buffer: WireBuffer;
  readonly prepared: PreparedStatements;
  readonly parserOf: (oid: number) => (text: string) => unknown;
  /** No transaction is open, or one may be. */
  readonly isClean: boolean;
  /** Ends the connection at once; all that is in flight is lost. */
  destroy(reason: Error): void;
  remove(batch: Batch): void;
}

export class Batch {
  readonly request: BatchRequest;
  /** It has left the process, or may have. */
  sent = false;
  readonly #connection: BatchConnection;
  readonly #end: BatchEnd;
  readonly #statement: ServerStatement;
  readonly #scopeStatement: ServerStatement | undefined;
  /** The types of the messages that the server answers with, but for rows and errors, and which is next. */
  readonly #answers: string;
  #next = 0;
  /** Commands whose completion comes before the statement's own. */
  #ahead = 0;
  #unproven: string | undefined;
  #rows: unknown[] = [];
  #tag = "";
  #error: Error | undefined;
  #ended = false;

  /**
   * Writes it to the connection's buffer.
   *
   * @throws Error if one of its values has no text: then nothing of it is written.
   */
  constructor(connection: BatchConnection, request: BatchRequest, end: BatchEnd) {
    this.#connection = connection;
    this.request = request;
    this.#end = end;
    const { buffer, prepared } = connection;
    const { text, values, schema, scope, begin, readOnly } = request;
    const scoping = scope && prepared.use(scopeStatement(scope, readOnly), "");
    const { statement, isNew } = prepared.use(text, schema);
    this.#scopeStatement = scoping?.statement;
    this.#statement = statement;
    let answers = "";
    for (const name of prepared.takeClosed()) buffer.close(name);
    const mark = buffer.mark();
    try {
      if (begin !== undefined) {
        buffer.parse("", begin);
        buffer.execute("", []);
        answers += answerTo.parse + answerTo.execute;
        this.#ahead += 1;
      }
      if (scope !== undefined && scoping !== undefined) {
        if (scoping.isNew) {
          buffer.parse(scoping.statement.name, scoping.statement.sql);
          answers += answerTo.parse;
        }
        buffer.execute(scoping.statement.name, scopeValues(scope, readOnly));
        answers += answerTo.execute;
        this.#unproven = scope.tenantId;
        this.#ahead += 1;
      }
      if (isNew) {
        buffer.parse(statement.name, statement.sql);
        buffer.describe(statement.name);
        answers += answerTo.parse + answerTo.describe;
      }
      buffer.execute(statement.name, values);
      buffer.sync();
    } catch (error) {
      // What is new in it isn't parsed.
      buffer.rewind(mark);
      if (isNew) prepared.forget(statement);
      if (scoping?.isNew) prepared.forget(scoping.statement);
      throw error;
    }
    this.#answers = answers + answerTo.execute + answerTo.sync;
  }

  /** Takes the next message of the server's answer. @throws MalformedMessage */
  receive(type: number, bytes: Buffer, start: number, end: number): void {
    const expected = this.#answers.charCodeAt(this.#next);
    if (type === code.dataRow && expected === code.commandComplete) {
      this.#row(bytes, start, end);
    } else if (type === code.errorResponse) {
      this.#fail(errorOf(bytes, start, end));
    } else if (type === expected || type === insteadOf[expected]) {
      this.#next += 1;
      if (type === code.commandComplete) {
        if (this.#ahead > 0) this.#ahead -= 1;
        else this.#tag = tagOf(bytes, start, end);
      } else if (type === code.rowDescription) {
        this.#statement.columns = toColumns(fieldsOf(bytes, start, end), this.#connection.parserOf);
      } else if (type === code.readyForQuery) {
        this.#ready();
      }
    } else if (type !== code.closeComplete) {
      this.#connection.destroy(new Error(foreign));
    }
  }

  #row(bytes: Buffer, start: number, end: number): void {
    if (this.#ahead > 0) {
      const tenant = this.#unproven;
      if (tenant !== undefined && startsWith(tenant, bytes, start, end)) this.#unproven = undefined;
      return;
    }
    if (this.#unproven !== undefined) return; // refused at the end
    const texts = textsOf(bytes, start, end);
    if (this.request.rows === "text") {
      this.#rows.push(texts);
      return;
    }
    const { columns } = this.#statement;
    if (texts.length < columns.length) this.#misfit();
    try {
      this.#rows.push(toRow(columns, texts));
    } catch (error) {
      this.#error ??= error as Error;
    }
  }

  /**
   * A migration has dropped a column, and a pooler has prepared the statement on a connection since then:
   * it was executed, and nobody knows which value is whose.
   */
  #misfit(): void {
    this.#connection.prepared.outdate(this.#statement);
    this.#error ??= new ConnectionLost(
      true,
      new Error("a row has fewer columns than were described"),
    );
  }

  /** The server skips the rest of the batch, up to its Sync. */
  #fail(error: DatabaseError): void {
    const connection = this.#connection;
    if (endsSession(error)) {
      connection.destroy(error);
      return;
    }
    const isStale = isStalePlan(error);
    if (isStale && this.#scopeStatement) connection.prepared.forget(this.#scopeStatement);
    if (isOutdated(error)) connection.prepared.outdate(this.#statement);
    else if (isStale || !this.#statement.ready) connection.prepared.forget(this.#statement);
    if (!isStale && this.#unproven !== undefined && !this.#isOfOwnRole(error)) {
      connection.destroy(new Error("an error does not belong to its statement", { cause: error }));
      return;
    }
    noteDeletion(error, this.request.text);
    noteStatement(error, this.request.text);
    this.#error = error;
    this.#next = this.#answers.length - 1;
  }

  /**
   * The scope's role isn't there, or not to be had: the error names it, and no other tenant's scope
   * has it. (What a lane's other tenants have under way is not to be lost for that.)
   */
  #isOfOwnRole(error: Error): boolean {
    const role = this.request.scope?.role;
    return role !== undefined && error.message.includes(`"${role}"`);
  }

  #ready(): void {
    const connection = this.#connection;
    if (this.#error === undefined) {
      if (this.#unproven !== undefined) {
        connection.destroy(new Error(foreign));
        return;
      }
      this.#statement.ready = true;
    }
    if (!connection.isClean) {
      connection.destroy(new Error("a statement left its transaction open"));
      return;
    }
    this.end(this.#error);
  }

  end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#connection.remove(this);
    if (error === undefined) this.#end(undefined, toResult(this.#tag, this.#rows));
    else this.#end(error, undefined);
  }

  /** Ends it without an answer. */
  lose(cause: Error): void {
    this.end(this.#error ?? new ConnectionLost(this.sent, cause));
  }
}

const foreign = "an answer does not belong to its statement";

/**
 * The types of the messages that each message is answered with. That a statement was closed is not among them: a
 * pooler may say so before it has passed on what was to come first, and nobody waits for it.
 */
const answerTo = {
  parse: "1",
  describe: "tT",
  /** Bind and Execute; rows come before the `C`. */
  execute: "2C",
  sync: "Z",
};

/** What may come for another: a statement without rows has no description, one without text no completion. */
const insteadOf: Readonly<Record<number, number>> = {
  [code.rowDescription]: code.noData,
  [code.commandComplete]: code.emptyQuery,
};

const setTenant = "set_config('app.current_tenant_id', $1, true)";
const setSchema = "set_config('search_path', $2, true), set_config('role', $3, true)";
const setReadOnly = "set_config('transaction_read_only', 'on', true)";
/** Triggers read it, so what only reads goes without. */
const setQuotas = (n: number) => `set_config('app.quotas', $${n}, true)`;

const scopeStatements = {
  write: `select ${setTenant}`,
  limitedWrite: `select ${setTenant}, ${setQuotas(2)}`,
  read: `select ${setTenant}, ${setReadOnly}`,
  writeInSchema: `select ${setTenant}, ${setSchema}`,
  limitedWriteInSchema: `select ${setTenant}, ${setSchema}, ${setQuotas(4)}`,
  readInSchema: `select ${setTenant}, ${setSchema}, ${setReadOnly}`,
};

function scopeStatement({ schema, quotas }: Scope, readOnly: boolean): string {
  if (schema === dataSchema) {
    if (readOnly) return scopeStatements.read;
    return quotas === undefined ? scopeStatements.write : scopeStatements.limitedWrite;
  }
  if (readOnly) return scopeStatements.readInSchema;
  return quotas === undefined
    ? scopeStatements.writeInSchema
    : scopeStatements.limitedWriteInSchema;
}

function scopeValues({ tenantId, schema, role, quotas }: Scope, readOnly: boolean): string[] {
  const values: string[] = [tenantId];
  if (schema !== dataSchema) {
    if (role === undefined) throw new TypeError(`a scope in the schema ${schema} needs its role`);
    values.push(quoteName(schema), role);
  }
  if (quotas !== undefined && !readOnly) values.push(quotas);
  return values;
}

const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`;

function toRow(columns: ServerStatement["columns"], fields: readonly (string | null)[]) {
  const row: Record<string, unknown> = {};
  for (let i = 0; i < fields.length; i += 1) {
    const column = columns[i];
    const text = fields[i];
    if (column !== undefined && text !== undefined) {
      row[column.name] = text === null ? null : column.parse(text);
    }
  }
  return row;
}

const affecting = new Set(["INSERT", "UPDATE", "DELETE", "MERGE"]);

function toResult(tag: string, rows: unknown[]): StatementResult {
  const space = tag.indexOf(" ");
  const command = space < 0 ? tag : tag.slice(0, space);
  const rowCount = space < 0 ? rows.length : Number(tag.slice(tag.lastIndexOf(" ") + 1));
  // The rows are what the caller's types say of its statement; nothing here can check that.
  const result = { rows: rows as Record<string, unknown>[], command, rowCount };
  return affecting.has(command) ? { ...result, numAffectedRows: BigInt(rowCount) } : result;
}
