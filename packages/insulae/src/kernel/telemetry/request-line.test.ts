import fc from "fast-check";
import { pino } from "pino";
import { expect, test } from "vitest";
import { createLoggerTo, moduleLog } from "./log.ts";
import { createLogHub } from "./log-hub.ts";
import { type RequestEnd, requestLine } from "./request-line.ts";

const ended: RequestEnd = {
  request_id: "r-1",
  tenant_id: "t-1",
  user_id: undefined,
  standIn: { api_key_id: "k-1" },
  trace_id: undefined,
  method: "GET",
  status: 200,
  duration_ms: 1.25,
  aborted: false,
};

function recorded() {
  const lines: string[] = [];
  return {
    lines,
    log: createLoggerTo("info", (line) => lines.push(line)).child({ module: "http" }),
  };
}

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.uuid(),
  // Lone surrogates as well.
  fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units)),
  fc.constantFrom("Bearer abcdefgh", "ik_abcdefghijklmnopqrstuvw", '"}\n{"level":60', "a?token=b"),
);
const maybe = fc.option(text, { nil: undefined });

test("a request's line says what any other line with its fields says, whatever texts they hold", () => {
  fc.assert(
    fc.property(
      fc.record({
        request_id: text,
        tenant_id: maybe,
        user_id: maybe,
        standIn: fc.option(
          text.map((id) => ({ impersonator_id: id })),
          { nil: undefined },
        ),
        trace_id: maybe,
        method: text,
        status: fc.nat(999),
        duration_ms: fc.nat(1e7).map((hundredths) => hundredths / 100),
        aborted: fc.boolean(),
      }),
      maybe,
      (end, route) => {
        const { lines, log } = recorded();
        requestLine(log, route)(end);
        const { standIn, aborted, ...fields } = end;
        log.info({ ...fields, ...standIn, route, ...(aborted && { aborted }) }, "request");
        const [line = "", other = ""] = lines;
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
        expect(line.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
        expect(line.at(-1)).toBe("\n");
        expect(line.isWellFormed()).toBe(true);
        const { time, ...said } = JSON.parse(line);
        expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        expect(said).toEqual({ ...JSON.parse(other), time: undefined });
      },
    ),
  );
});

test("its fields are in the order that they always had", () => {
  const { lines, log } = recorded();
  requestLine(log, "/contacts/:id")({ ...ended, user_id: "u-1", trace_id: "0af7", aborted: true });
  expect(lines[0]?.replace(/"time":"[^"]+"/, '"time":""')).toBe(
    '{"level":30,"time":"","module":"http","request_id":"r-1","tenant_id":"t-1","user_id":"u-1",' +
      '"api_key_id":"k-1","trace_id":"0af7","method":"GET","route":"/contacts/:id","status":200,' +
      '"duration_ms":1.25,"aborted":true,"msg":"request"}\n',
  );
});

test("it is written while the level is info, and not while it is higher", () => {
  const { lines, log } = recorded();
  const write = requestLine(log, "/");
  for (const level of ["warn", "silent", "debug", "info"]) {
    log.level = level;
    write(ended);
  }
  expect(lines).toHaveLength(2);
});

test.each([true, false])(
  "an application's logger gets its fields, through the hub: %s",
  (tapped) => {
    const got: unknown[] = [];
    const own = pino(
      { base: null, formatters: { log: (fields) => ({ ...fields, own: true }) } },
      { write: (line: string) => void got.push(JSON.parse(line)) },
    );
    const log = tapped ? createLogHub({ format: "text", bufferSize: 1 }).tap(own) : own;
    requestLine(log, "/")(ended);
    expect(got).toMatchObject([{ own: true, api_key_id: "k-1", route: "/", msg: "request" }]);
  },
);

test("while somebody watches, its tenant's viewers get it, and where the log goes keeps its level", () => {
  const lines: string[] = [];
  const hub = createLogHub({ format: "text", bufferSize: 10, levels: { http: "warn" } });
  const log = moduleLog(hub.tap(createLoggerTo("info", (line) => lines.push(line))), "http");
  const write = requestLine(log, "/");
  const sent: string[] = [];
  const leave: (() => void)[] = [];
  const { promise: served, resolve } = Promise.withResolvers<void>();
  hub.watch(
    {
      sendFrames: (bytes: Buffer, done: () => void) => {
        sent.push(bytes.toString());
        done();
        resolve();
      },
      onLeft: (left: () => void) => leave.push(left),
    },
    { tenantId: "t-2" },
  );
  write(ended);
  write({ ...ended, tenant_id: "t-2", request_id: "r-2" });
  return served.then(() => {
    expect(sent.join("")).toContain("request_id=r-2");
    expect(sent.join("")).not.toContain("r-1");
    expect(lines).toEqual([]);
    for (const left of leave) left();
  });
});

test("a destination that wants to know of its lines is told, behind the hub as well", () => {
  const levels: unknown[] = [];
  const destination = {
    [Symbol.for("pino.metadata")]: true,
    lastLevel: 0,
    write() {
      levels.push(this.lastLevel);
    },
  };
  const log = createLogHub({ format: "text", bufferSize: 1 }).tap(
    pino({ level: "info" }, destination),
  );
  log.warn("one");
  log.error("two");
  expect(levels).toEqual([40, 50]);
});
