import type { TracingConfig } from "../../config/config.ts";
import type { Logger } from "./log.ts";
import type { Tracing } from "./tracing.ts";

/** Traces, where somebody collects them. To load OpenTelemetry takes a tenth of a second. */
export async function openTracing(
  config: TracingConfig | undefined,
  version: string,
  log: Logger,
): Promise<Tracing | undefined> {
  if (!config) return undefined;
  const { createTracing } = await import("./open-telemetry.ts");
  return createTracing(config, version, log);
}
