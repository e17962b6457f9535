import { type Logger as PinoLogger, pino } from "pino";

export type Logger = PinoLogger;

/**
 * JSON lines on stdout; each carries what its child loggers were bound to (tenant, request id). Once
 * nobody reads stdout any more, lines are dropped: a log must not keep a process from ending.
 */
export function createLogger(level: string): Logger {
  let read = true;
  const write = (line: string): void => {
    if (read) process.stdout.write(line);
  };
  if (level !== "silent") {
    process.stdout.once("error", () => {
      read = false;
    });
  }
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, { write });
}
