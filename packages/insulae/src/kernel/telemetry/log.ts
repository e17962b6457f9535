import { type Logger as PinoLogger, pino } from "pino";

export type Logger = PinoLogger;

/** JSON lines on stdout; each carries what its child loggers were bound to (tenant, request id). */
export function createLogger(level: string): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime });
}
