/**
 * What `/metrics` says of the process itself. The names are those that dashboards for Node know, from
 * prom-client.
 */
import { readdir } from "node:fs/promises";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { counter, gauge, type MetricsRegistry } from "./metrics.ts";

const cpu = counter("process_cpu_seconds_total", "Processor time");
const resident = gauge("process_resident_memory_bytes", "Memory in use");
const started = gauge("process_start_time_seconds", "When the process started (Unix time)");
const files = gauge("process_open_fds", "Open files and sockets");
const heapUsed = gauge("nodejs_heap_size_used_bytes", "Memory that JavaScript's objects take");
const heapTotal = gauge("nodejs_heap_size_total_bytes", "Memory that is kept for them");
const external = gauge("nodejs_external_memory_bytes", "Memory of buffers and native objects");
const lag = gauge(
  "nodejs_eventloop_lag_seconds",
  "How late timers were since the metrics were last read",
  ["percentile"],
);
const busy = counter("nodejs_eventloop_busy_seconds_total", "How long the event loop was at work");
const build = gauge("insulae_build_info", "Always 1; the labels say what runs", [
  "version",
  "node",
]);

const resolutionMs = 10;
const nanoseconds = 1e9;

/** @returns what ends the measuring of the event loop. */
export function measureProcess(metrics: MetricsRegistry, version: string): () => void {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs });
  delays.enable();
  metrics.gauge(build, { version, node: process.versions.node }).set(1);
  metrics.gauge(started).set(performance.timeOrigin / 1_000);
  metrics.read(cpu, () => {
    const { user, system } = process.cpuUsage();
    return [[(user + system) / 1e6]];
  });
  metrics.read(resident, () => [[process.memoryUsage.rss()]]);
  metrics.read(heapUsed, () => [[process.memoryUsage().heapUsed]]);
  metrics.read(heapTotal, () => [[process.memoryUsage().heapTotal]]);
  metrics.read(external, () => [[process.memoryUsage().external]]);
  // Where there is no /proc it is left out.
  metrics.read(files, async () => [[(await readdir("/proc/self/fd")).length]]);
  metrics.read(busy, () => [[performance.eventLoopUtilization().active / 1_000]]);
  metrics.read(lag, () => {
    // A timer that is on time counts as `resolution`.
    const late = (delay: number) => Math.max(0, delay / nanoseconds - resolutionMs / 1_000);
    const values = [
      [late(delays.percentile(50)), { percentile: "50" }],
      [late(delays.percentile(99)), { percentile: "99" }],
      [late(delays.max), { percentile: "100" }],
    ] as const;
    delays.reset();
    return values;
  });
  return () => void delays.disable();
}
