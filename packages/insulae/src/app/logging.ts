/** The log of a process: where its lines go, and who watches them. */
import { type Config, ConfigError } from "../config/config.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import { type LogFile, openLogFile } from "../kernel/telemetry/log-file.ts";
import { createLogHub, type LogHub, type LogPeers } from "../kernel/telemetry/log-hub.ts";

export interface Logging {
  readonly log: Logger;
  readonly logs: LogHub;
  /** LOG_FILE, where that is set. */
  readonly file: LogFile | undefined;
}

/**
 * @param log where lines go in any case.
 * @param peers of a worker, or of the primary.
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
    throw new ConfigError([
      `LOG_FILE can't be opened (${why}); name a file that can be written to`,
    ]);
  }
}
