/** Composes the process's log: its destinations and live viewers. */
import { type Config, ConfigError } from "../config/config.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import { type LogFile, openLogFile } from "../kernel/telemetry/log-file.ts";
import { createLogHub, type LogHub, type LogPeers } from "../kernel/telemetry/log-hub.ts";

export interface Logging {
  readonly log: Logger;
  readonly logs: LogHub;
  /** Only if LOG_FILE is set. */
  readonly file: LogFile | undefined;
}

/**
 * @param log the unconditional destination
 * @param peers the link between a worker and the primary
 * @throws ConfigError
 */
export function openLogging(
  config: Pick<Config, "logFile" | "logLevels" | "wsLogFormat" | "wsLogBufferSize">,
  log: Logger,
  peers?: LogPeers,
): Logging {
  const file = config.logFile === undefined ? undefined : logFileOf(config.logFile);
  const logs = createLogHub({
    format: config.wsLogFormat,
    bufferSize: config.wsLogBufferSize,
    levels: config.logLevels,
    file: file?.write,
    peers,
  });
  return { log: logs.tap(log), logs, file };
}

function logFileOf(path: string): LogFile {
  try {
    return openLogFile(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError([`LOG_FILE can't be opened (${why}); give a writable file`]);
  }
}
