import { type LoggerOptions, type Logger as PinoLogger, pino } from "pino";
import { statementOf } from "../lib/errors.ts";
import { redact, redactText } from "./redact.ts";

export type Logger = PinoLogger;

/**
 * JSON lines on stdout; each carries what its child loggers were bound to (tenant, request id). Once
 * nobody reads stdout any more, lines are dropped: a log must not keep a process from ending.
 */
export const createLogger = (level: string): Logger => {
  if (level !== "silent") stdout ??= openStdout();
  return createLoggerTo(level, stdout ?? (() => {}));
};

let stdout: WriteLine | undefined;

/** @param line ends with its line break. @param level as pino counts. */
export type WriteLine = (line: string, level: number) => void;

const writeAtLength = 16_384;
const writeAfterMs = 10;
const warn = 40;

/**
 * Writes many lines at once: a write is a system call that the process waits for, as dear as a tenth of a request.
 * Lines wait for 10 ms or 16 KiB; from `warn` on, and with them all before, until the end of the turn, as they may
 * be the last. At the process's end nothing waits any more. The write itself is synchronous: one that is under way
 * in a thread would be lost at the end (sonic-boom with `sync: false`), and shared between so many lines it costs
 * next to nothing.
 */
function openStdout(): WriteLine {
  let read = true;
  let ending = false;
  let waiting = "";
  let isUrgent = false;
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    isUrgent = false;
    const lines = waiting;
    waiting = "";
    if (read && lines !== "") process.stdout.write(lines);
  };
  process.stdout.once("error", () => {
    read = false;
  });
  process.once("exit", () => {
    ending = true;
    flush();
  });
  return (line, level) => {
    waiting += line;
    if (ending || waiting.length > writeAtLength) flush();
    else if (level >= warn) {
      if (!isUrgent) setImmediate(flush);
      isUrgent = true;
    } else timer ??= setTimeout(flush, writeAfterMs).unref();
  };
}

/** The same, to another place. @param write gets whole lines. */
export function createLoggerTo(level: string, write: WriteLine): Logger {
  const time = createTime();
  const destination: Destination = {
    [wantsMetadata]: true,
    write(line) {
      write(oneLine(line), destination.lastLevel ?? 0);
    },
  };
  return Object.assign(pino(loggerOptions(level, time), destination), { [lineTime]: time });
}

/** The part of a destination that pino speaks to; it leaves what it knows of the line in it. */
export interface Destination {
  write(line: string): void;
  [wantsMetadata]?: boolean;
  lastLevel?: number;
  lastObj?: unknown;
  lastMsg?: string | undefined;
  lastTime?: string | undefined;
  lastLogger?: Logger;
}

export const wantsMetadata = Symbol.for("pino.metadata");

const lineTime = Symbol("gives the time as this server's own loggers write it");

/** What writes the time of a line; undefined: the logger is not this server's, and writes lines of its own kind. */
export const lineTimeOf = (log: Logger): (() => string) | undefined =>
  (log as Logger & { readonly [lineTime]?: () => string })[lineTime]; // set above, on it or its parent

/** As `pino.stdTimeFunctions.isoTime`; many lines have the same millisecond. */
function createTime(): () => string {
  let last = 0;
  let text = "";
  return () => {
    const now = Date.now();
    if (now !== last) text = `,"time":"${new Date(now).toISOString()}"`;
    last = now;
    return text;
  };
}

/** What every logger does with what it is given: secrets are taken out before anything is written. */
const loggerOptions = (level: string, timestamp: () => string): LoggerOptions => ({
  level,
  base: null,
  timestamp,
  // What child loggers are bound to is ours: ids.
  formatters: { log: fieldsForLog },
  hooks: {
    logMethod(args, method) {
      const last = args.length - 1;
      const message = args[last];
      if (typeof message === "string") args[last] = redactText(message);
      // The arguments are those that the method was called with.
      method.apply(this, args as Parameters<typeof method>);
    },
  },
});

/**
 * JSON escapes line breaks and the control characters below U+0020; some readers also break lines at,
 * and some terminals obey, what is left. Outside of strings JSON has none of them.
 */
export const oneLine = (line: string): string =>
  unescaped.test(line)
    ? line.replaceAll(
        everyUnescaped,
        (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`,
      )
    : line;

const unescaped = /[\u007f-\u009f\u2028\u2029]/;
const everyUnescaped = /[\u007f-\u009f\u2028\u2029]/g;

function fieldsForLog(fields: Record<string, unknown>): Record<string, unknown> {
  const errors = Object.entries(fields).filter(([, value]) => value instanceof Error);
  if (errors.length === 0) return redact(fields);
  const found = errors.map(([name, value]) => [name, errorForLog(value)]);
  return {
    ...redact({ ...fields, ...Object.fromEntries(errors.map(([name]) => [name, null])) }),
    ...Object.fromEntries(found),
  };
}

/** What of PostgreSQL's and Node's errors may be kept; their other fields quote values. */
const kept = [
  "code",
  "severity",
  "schema",
  "table",
  "column",
  "constraint",
  "routine",
  "syscall",
  "hint",
];

const maxCauses = 5;

/**
 * An error as the log keeps it: what and where, and why, with the text of the statement that PostgreSQL
 * refused. Neither the values that it quotes in `detail` and `where`, nor a statement's values, a request
 * or a connection's settings that hang on it.
 */
function errorForLog(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return redact(error);
  const { name, message, stack, cause } = error;
  return {
    type: name,
    message: redactText(message),
    stack: stack === undefined ? undefined : redactText(stack),
    ...Object.fromEntries(
      kept.flatMap((key) => {
        const value: unknown = Reflect.get(error, key);
        return typeof value === "string" ? [[key, value]] : [];
      }),
    ),
    statement: statementOf(error),
    ...(cause !== undefined && depth < maxCauses && { cause: errorForLog(cause, depth + 1) }),
    ...(error instanceof AggregateError &&
      depth < maxCauses && { errors: error.errors.map((inner) => errorForLog(inner, depth + 1)) }),
  };
}

const owner = Symbol("whose lines a logger writes");

/**
 * A logger of a tenant's lines, or (undefined) of nobody's. Its children are of the same tenant,
 * whatever fields they or their lines have: what a client sends can't give a line to another tenant.
 */
export const ownedLog = (log: Logger, bindings: object, tenantId: string | undefined): Logger =>
  Object.assign(log.child(bindings), { [owner]: tenantId ?? null });

/** Whose a logger's lines are; `null`: nobody's; undefined: it does not say. */
export const ownerOf = (log: Logger): string | null | undefined =>
  (log as Logger & { readonly [owner]?: string | null })[owner]; // set above, on it or its parent

/** The parts of the server whose level can be set apart (`LOG_LEVEL=info,http=warn,database=debug`). */
export const logModules = [
  "http",
  "database",
  "redis",
  "auth",
  "audit",
  "tenancy",
  "jobs",
  "mail",
  "cache",
  "storage",
  "webhooks",
  "logs",
] as const;
export type LogModule = (typeof logModules)[number];

const modules = Symbol("makes a module's logger");
const leastLevel = Symbol("the least level that a module's logger writes");

/** Has `moduleLog` make loggers by the rules of whoever taps the log. @param begun gives their level. */
export const withModules = (
  log: Logger,
  begun: (module: LogModule, child: Logger) => number,
): Logger =>
  Object.assign(log, {
    [modules]: (module: LogModule): Logger => {
      const child = log.child({ module });
      return Object.assign(child, { [leastLevel]: begun(module, child) });
    },
  });

/** The logger of a part of the server; its lines say which part it is. */
export const moduleLog = (log: Logger, module: LogModule): Logger =>
  // set above, on it
  (log as Logger & { readonly [modules]?: (module: LogModule) => Logger })[modules]?.(module) ??
  log.child({ module });

/** The least level that the module of a logger writes; undefined: it is of none. */
export const leastOf = (log: Logger | undefined): number | undefined =>
  (log as (Logger & { readonly [leastLevel]?: number }) | undefined)?.[leastLevel]; // set above, on it or its parent
