/** What a lane makes of what a server sends, however the network cuts it, and whatever it is. */
import { EventEmitter } from "node:events";
import fc from "fast-check";
import pg from "pg";
import { expect, test } from "vitest";
import type { BatchRequest } from "./batch.ts";
import { scopeOf, tenantA, tenantB } from "./engine-fixture.ts";
import { createMessageReader, errorOf, fieldsOf, textsOf } from "./pg-messages.ts";
import { createPipelinedConnection } from "./pipelined-connection.ts";

const int16 = (value: number) => Buffer.from([value >> 8, value & 255]);
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const message = (type: string, ...body: Buffer[]) => {
  const bytes = Buffer.concat(body);
  return Buffer.concat([Buffer.from(type), int32(bytes.length + 4), bytes]);
};
const cstring = (text: string) => Buffer.from(`${text}\0`);
const row = (texts: readonly (string | null)[]) =>
  message(
    "D",
    int16(texts.length),
    ...texts.flatMap((text) =>
      text === null ? [int32(-1)] : [int32(Buffer.byteLength(text)), Buffer.from(text)],
    ),
  );
const description = (names: readonly string[]) =>
  message(
    "T",
    int16(names.length),
    ...names.flatMap((name) => [cstring(name), Buffer.alloc(6), int32(25), Buffer.alloc(8)]),
  );
const error = (fields: Readonly<Record<string, string>>) =>
  message("E", ...Object.entries(fields).map(([k, v]) => cstring(k + v)), Buffer.from([0]));
const ready = (status = "I") => message("Z", Buffer.from(status));
const bound = message("2");
const complete = (tag: string) => message("C", cstring(tag));

/** In pieces of the given sizes, and the rest. */
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    if (at >= bytes.length) break;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  if (at < bytes.length) pieces.push(bytes.subarray(at));
  return pieces;
}

const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 300 })), {
  maxLength: 200,
});
const text = fc.string({ unit: "grapheme", maxLength: 40 }).map((s) => s.replaceAll("\0", ""));
const columns = fc.array(fc.option(text, { nil: null }), { minLength: 1, maxLength: 4 });

test("messages are the same wherever the stream is cut", () => {
  const messages = fc.array(
    fc.tuple(fc.constantFrom(..."DCTZ12"), fc.uint8Array({ maxLength: 90 })),
  );
  fc.assert(
    fc.property(messages, sizes, (sent, pieces) => {
      const got: [string, string][] = [];
      const read = createMessageReader((type, bytes, start, end) => {
        got.push([String.fromCharCode(type), bytes.toString("hex", start, end)]);
      });
      const stream = Buffer.concat(sent.map(([type, body]) => message(type, Buffer.from(body))));
      for (const piece of cut(stream, pieces)) read(piece);
      expect(got).toEqual(sent.map(([type, body]) => [type, Buffer.from(body).toString("hex")]));
    }),
  );
});

test("a large message is joined once, however many pieces it comes in", () => {
  const large = "x".repeat(4 * 1024 * 1024);
  const stream = Buffer.concat([row([large]), row(["next"])]);
  const { concat } = Buffer;
  let copied = 0;
  Buffer.concat = (list, length) => {
    const joined = concat(list, length);
    copied += joined.length;
    return joined;
  };
  const got: unknown[] = [];
  try {
    const read = createMessageReader((_, bytes, start, end) =>
      got.push(textsOf(bytes, start, end)),
    );
    for (const piece of cut(stream, new Array(10_000).fill(1_000))) read(piece);
  } finally {
    Buffer.concat = concat;
  }
  expect(got).toEqual([[large], ["next"]]);
  expect(copied).toBeLessThan(stream.length * 1.5);
});

/** What pg itself makes of an error, a row and a description. */
async function readByPg(bytes: Buffer): Promise<Record<string, unknown>> {
  const client = new pg.Client();
  const stream = new EventEmitter();
  const { connection } = client as unknown as {
    connection: EventEmitter & { attachListeners(stream: EventEmitter): void };
  };
  connection.attachListeners(stream);
  const read = new Promise<Record<string, unknown>>((resolve) => {
    for (const name of ["errorMessage", "dataRow", "rowDescription"]) {
      connection.prependListener(name, resolve);
    }
  });
  client.on("error", () => {});
  stream.emit("data", bytes);
  return read;
}

test("an error is the one that pg makes of it", async () => {
  const letters = "SCMDHPpqWstcdnFLR";
  const sent = error({ ...Object.fromEntries([...letters].map((k) => [k, `${k} ä`])), V: "S ä" });
  const { length: _, ...given } = { ...(await readByPg(sent)) };
  const own = errorOf(sent, 5, sent.length);
  expect(own).toBeInstanceOf(pg.DatabaseError);
  expect(own.message).toBe("M ä");
  const { length: __, ...fields } = { ...own } as Record<string, unknown>;
  expect(fields).toEqual(given);
});

test("rows and descriptions are those that pg reads", async () => {
  await fc.assert(
    fc.asyncProperty(columns, async (texts) => {
      const sent = row(texts);
      expect(textsOf(sent, 5, sent.length)).toEqual((await readByPg(sent)).fields);
    }),
    { numRuns: 30 },
  );
  const sent = description(["id", "größe", ""]);
  const { fields } = (await readByPg(sent)) as { fields: { name: string; dataTypeID: number }[] };
  expect(fieldsOf(sent, 5, sent.length)).toEqual(
    fields.map(({ name, dataTypeID }) => ({ name, typeOid: dataTypeID })),
  );
});

/** A session on a socket that the test is the server of. */
function connect() {
  const stream = Object.assign(new EventEmitter(), {
    writable: true,
    write: () => true,
    destroy: () => stream,
  });
  const client = {
    connection: { stream },
    readyForQuery: true,
    getTransactionStatus: () => "I",
    getTypeParser: () => (value: string) => value,
  };
  const handed: Buffer[] = [];
  stream.on("data", (bytes: Buffer) => handed.push(bytes));
  const session = createPipelinedConnection(client as unknown as pg.Client, 8);
  return { session, handed, receive: (bytes: Buffer) => stream.emit("data", bytes) };
}

type Connected = ReturnType<typeof connect>;

const tenants = [tenantA, tenantB];
const request = (n: number, rows: BatchRequest["rows"]): BatchRequest => ({
  text: "select",
  values: [],
  scope: scopeOf(tenants[n % 2] ?? tenantA),
  schema: "data",
  rows,
  readOnly: true,
});

interface Answer {
  readonly rows: readonly (readonly (string | null)[])[];
  readonly failure: string | undefined;
  readonly unasked: boolean;
}

const answer: fc.Arbitrary<Answer> = fc.record({
  rows: fc.array(fc.tuple(fc.option(text, { nil: null }), text), { maxLength: 4 }),
  failure: fc.option(text, { nil: undefined, freq: 4 }),
  unasked: fc.boolean(),
});

/** What a server sends for the n-th statement. The first one is prepared. */
const bytesOf = ({ rows, failure, unasked }: Answer, n: number): Buffer =>
  Buffer.concat([
    ...(unasked ? [message("S", cstring("TimeZone"), cstring("UTC"))] : []),
    ...(n === 0 ? [message("1")] : []),
    bound,
    row([tenants[n % 2] ?? ""]),
    complete("SELECT 1"),
    ...(n === 0 ? [message("1"), message("t", int16(0)), description(["a", "b"])] : []),
    bound,
    ...rows.map(row),
    ...(unasked ? [message("N", cstring("Mnotice"), Buffer.from([0]))] : []),
    failure === undefined
      ? complete(`SELECT ${rows.length}`)
      : error({ S: "ERROR", C: "22012", M: failure }),
    ready(),
  ]);

/** Sends a statement for each answer. @returns how each ended, and how often */
async function ask({ session }: Connected, count: number, rows: BatchRequest["rows"]) {
  const ends: unknown[][] = Array.from({ length: count }, () => []);
  for (let n = 0; n < count; n += 1) {
    session.submit(request(n, rows), (failure, result) => {
      ends[n]?.push(failure ?? result);
    });
  }
  await new Promise(setImmediate);
  return ends;
}

test("statements have the same answers wherever the stream is cut", async () => {
  const some = fc.array(answer, { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(some, sizes, fc.boolean(), async (answers, pieces, asText) => {
      const connected = connect();
      const ends = await ask(connected, answers.length, asText ? "text" : "objects");
      const stream = Buffer.concat(answers.map(bytesOf));
      for (const piece of cut(stream, pieces)) connected.receive(piece);
      expect(ends).toMatchObject(
        answers.map(({ rows, failure }) =>
          failure === undefined
            ? [{ command: "SELECT", rows: asText ? rows : rows.map(([a, b]) => ({ a, b })) }]
            : [{ code: "22012", message: failure }],
        ),
      );
      expect(connected.session.lost).toBeUndefined();
      expect(connected.session.isIdle).toBe(true);
      // The client has what nobody has asked for, in whole messages.
      const unasked = answers.filter((each) => each.unasked).length * 2;
      expect(connected.handed.length).toBe(unasked);
    }),
  );
});

test("a stream that is no answer ends the connection, and each statement once", async () => {
  const some = fc.array(answer, { minLength: 1, maxLength: 4 });
  const damage = fc.array(
    fc.record({
      at: fc.nat(),
      bytes: fc.uint8Array({ maxLength: 6 }),
      taken: fc.nat(6),
    }),
    { minLength: 1, maxLength: 3 },
  );
  await fc.assert(
    fc.asyncProperty(some, damage, sizes, async (answers, places, pieces) => {
      const connected = connect();
      const ends = await ask(connected, answers.length, "text");
      let stream: Buffer = Buffer.concat(answers.map(bytesOf));
      for (const { at, bytes, taken } of places) {
        const place = at % stream.length;
        stream = Buffer.concat([stream.subarray(0, place), bytes, stream.subarray(place + taken)]);
      }
      for (const piece of cut(stream, pieces)) connected.receive(piece);
      connected.session.destroy(new Error("the end"));
      for (const end of ends) expect(end.length).toBe(1);
    }),
    { numRuns: 500 },
  );
});

const oneRow: Answer = { rows: [["a", "b"]], failure: undefined, unasked: false };
const own = bytesOf(oneRow, 0);
const without = (part: Buffer) => {
  const at = own.indexOf(part);
  return Buffer.concat([own.subarray(0, at), own.subarray(at + part.length)]);
};
const scopes = row([tenantA]);

test.each([
  ["another tenant's", Buffer.from(own.toString("latin1").replace(tenantA, tenantB), "latin1")],
  ["without its proof", without(scopes)],
  ["one completion short", without(complete("SELECT 1"))],
  ["one completion too many", Buffer.concat([bound, scopes, complete("SELECT 1"), own])],
  ["not parsed", without(message("1"))],
  ["not described", without(description(["a", "b"]))],
  ["not bound", without(bound)],
  ["an error before the scope", Buffer.concat([error({ S: "ERROR", C: "22012" }), ready()])],
  ["the end of the session", error({ S: "FATAL", C: "57P01" })],
  ["COPY", Buffer.concat([without(complete("SELECT 1")), message("H", Buffer.from([0, 0, 0]))])],
  ["a transaction left open", Buffer.concat([own.subarray(0, -6), ready("T")])],
  ["an unknown message", message("?")],
  ["a message that is too short", Buffer.from([0x44, 0, 0, 0, 3])],
  ["a message that is too long", Buffer.from([0x44, 0x7f, 0xff, 0xff, 0xff])],
  ["a row that is longer than its message", message("D", int16(1), int32(99))],
  ["an error without an end", message("E", Buffer.from("Mx"))],
])("an answer that is not the statement's own is not delivered: %s", async (_, bytes) => {
  const connected = connect();
  const ends = await ask(connected, 2, "text");
  connected.receive(bytes);
  expect(connected.session.lost).toBeDefined();
  for (const end of ends) expect(end).toMatchObject([{ name: "ConnectionLost", sent: true }]);
});

test("that a statement was closed may be said early, and late", async () => {
  const connected = connect();
  const ends = await ask(connected, 1, "text");
  const closed = message("3");
  const parsed = message("1");
  for (const bytes of [closed, parsed, closed, own.subarray(parsed.length), closed]) {
    connected.receive(bytes);
  }
  expect(ends).toMatchObject([[{ rows: [["a", "b"]] }]]);
  expect(connected.session.isIdle).toBe(true);
});

test("what comes while nothing was sent is the client's", () => {
  const connected = connect();
  const ends: unknown[] = [];
  connected.session.submit(request(0, "text"), (failure) => ends.push(failure));
  const farewell = error({ S: "FATAL", C: "57P01" });
  connected.receive(farewell);
  expect(connected.handed).toEqual([farewell]);
  connected.session.destroy(new Error("gone"));
  expect(ends).toMatchObject([{ name: "ConnectionLost", sent: false }]);
});
