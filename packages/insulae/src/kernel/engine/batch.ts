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
 * that is its own tenant and if exactly its own commands completed; anything else means that answers
 * and statements on this connection no longer match, and the connection is destroyed.
 */
import { type Connection, type FieldDef, Query } from "pg";
import { noteStatement } from "../lib/errors.ts";
import {
  ConnectionLost,
  endsSession,
  isDatabaseError,
  isOutdated,
  isStalePlan,
  noteDeletion,
} from "./errors.ts";
import type { Session } from "./pipelined-connection.ts";
import { type PreparedStatement, toColumns } from "./prepared.ts";
import { dataSchema, type Scope } from "./scope.ts";

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

interface Message {
  readonly fields: (string | null)[];
}

// pg calls these methods as the server's messages arrive (client.js); a batch is a `pg.Query`,
// because that is what pg accepts in pipeline mode.
export class Batch extends Query {
  readonly request: BatchRequest;
  /** It has left the process, or may have. */
  sent = false;
  readonly #session: Session;
  readonly #end: BatchEnd;
  #statement: PreparedStatement | undefined;
  #scopeStatement: PreparedStatement | undefined;
  /** Commands whose completion comes before the statement's own. */
  #ahead = 0;
  #unproven: string | undefined;
  #rows: unknown[] = [];
  #tag: string | undefined;
  #error: Error | undefined;
  /** Why it was not sent, if one of its values has no text. */
  #refused: Error | undefined;
  #ended = false;

  constructor(session: Session, request: BatchRequest, end: BatchEnd) {
    super("");
    this.#session = session;
    this.request = request;
    this.#end = end;
    this.submit = this.#submit;
  }

  #submit(): Error | null {
    const { outbox, prepared } = this.#session;
    const { text, values, schema, scope, begin, readOnly } = this.request;
    const scoping = scope && prepared.use(scopeStatement(scope, readOnly), "");
    const { statement, isNew } = prepared.use(text, schema);
    for (const name of prepared.takeClosed()) outbox.close(name);
    const mark = outbox.mark();
    try {
      if (begin !== undefined) {
        outbox.parse("", begin);
        outbox.execute("", []);
        this.#ahead += 1;
      }
      if (scope !== undefined && scoping !== undefined) {
        if (scoping.isNew) outbox.parse(scoping.statement.name, scoping.statement.sql);
        outbox.execute(scoping.statement.name, scopeValues(scope, readOnly));
        this.#unproven = scope.tenantId;
        this.#ahead += 1;
      }
      if (isNew) {
        outbox.parse(statement.name, statement.sql);
        outbox.describe(statement.name);
      }
      outbox.execute(statement.name, values);
      outbox.sync();
    } catch (error) {
      // A value that has no text: nothing of this batch is sent, so what is new in it isn't parsed.
      outbox.rewind(mark);
      if (isNew) prepared.forget(statement);
      if (scoping?.isNew) prepared.forget(scoping.statement);
      this.#refused = error instanceof Error ? error : new Error(String(error));
      return this.#refused;
    }
    this.#scopeStatement = scoping?.statement;
    this.#statement = statement;
    return null;
  }

  handleRowDescription(message: { fields: FieldDef[] }): void {
    if (this.#statement !== undefined) {
      this.#statement.columns = toColumns(message.fields, this.#session.parserOf);
    }
  }

  handleDataRow(message: Message): void {
    if (this.#ahead > 0) {
      if (message.fields[0] === this.#unproven) this.#unproven = undefined;
      return;
    }
    if (this.#unproven !== undefined) return; // refused at the end
    if (this.request.rows === "text") {
      this.#rows.push(message.fields);
      return;
    }
    const columns = this.#statement?.columns ?? [];
    if (message.fields.length < columns.length) this.#misfit();
    try {
      this.#rows.push(toRow(columns, message.fields));
    } catch (error) {
      this.#error ??= error as Error;
    }
  }

  /**
   * A migration has dropped a column, and a pooler has prepared the statement on a connection since then:
   * it was executed, and nobody knows which value is whose.
   */
  #misfit(): void {
    if (this.#statement !== undefined) this.#session.prepared.outdate(this.#statement);
    this.#error ??= new ConnectionLost(
      true,
      new Error("a row has fewer columns than were described"),
    );
  }

  handleCommandComplete(message: { text: string }): void {
    if (this.#ahead > 0) this.#ahead -= 1;
    else this.#tag = message.text;
  }

  handleEmptyQuery(): void {
    this.#tag = "";
  }

  handleCopyInResponse(): void {
    this.#session.destroy(new Error("COPY on a connection that is shared"));
  }

  handleCopyData(): void {
    this.#session.destroy(new Error("COPY on a connection that is shared"));
  }

  /** An error of the server, or of the connection; pg's own signature. */
  handleError(error: Error, _connection: Connection): void {
    const session = this.#session;
    if (this.#statement === undefined) {
      // Nothing of it was sent: because of a value of its own, or because the connection is gone,
      // which pg knows a moment before its `end` tells us.
      if (error === this.#refused) this.end(error);
      else session.destroy(error);
      return;
    }
    if (isDatabaseError(error) && !endsSession(error) && session.holds(this)) {
      const isStale = isStalePlan(error);
      if (isStale && this.#scopeStatement) session.prepared.forget(this.#scopeStatement);
      if (isOutdated(error)) session.prepared.outdate(this.#statement);
      else if (isStale || !this.#statement.ready) session.prepared.forget(this.#statement);
      if (!isStale && this.#unproven !== undefined && !this.#isOfOwnRole(error)) {
        session.destroy(new Error("an error does not belong to its statement", { cause: error }));
        return;
      }
      noteDeletion(error, this.request.text);
      noteStatement(error, this.request.text);
      this.#error = error;
      // pg is done with a query at its error. This one ends at its ReadyForQuery, which tells
      // whether the connection is fit for the next.
      session.awaitReady(this);
      return;
    }
    session.destroy(error);
  }

  /**
   * The scope's role isn't there, or not to be had: the error names it, and no other tenant's scope
   * has it. (What a lane's other tenants have under way is not to be lost for that.)
   */
  #isOfOwnRole(error: Error): boolean {
    const role = this.request.scope?.role;
    return role !== undefined && error.message.includes(`"${role}"`);
  }

  handleReadyForQuery(): void {
    if (this.#ended) return;
    const session = this.#session;
    if (this.#error === undefined) {
      if (this.#ahead !== 0 || this.#tag === undefined || this.#unproven !== undefined) {
        session.destroy(new Error("an answer does not belong to its statement"));
        return;
      }
      if (this.#statement !== undefined) this.#statement.ready = true;
    }
    if (!session.isClean) {
      session.destroy(new Error("a statement left its transaction open"));
      return;
    }
    this.end(this.#error);
  }

  end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#session.remove(this);
    if (error === undefined) this.#end(undefined, toResult(this.#tag ?? "", this.#rows));
    else this.#end(error, undefined);
  }

  /** Ends it without an answer. */
  lose(sent: boolean, cause: Error): void {
    this.end(this.#error ?? new ConnectionLost(sent, cause));
  }
}

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

function toRow(columns: PreparedStatement["columns"], fields: Message["fields"]) {
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
