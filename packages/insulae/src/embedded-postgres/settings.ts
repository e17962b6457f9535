import { totalmem } from "node:os";
import type { Endpoint } from "./socket-folder.ts";

export type Settings = Readonly<Record<string, string | number | boolean>>;

export interface SettingsOptions {
  /** False: faster, but nothing survives a crash of the machine. For tests. */
  readonly durable: boolean;
  readonly endpoint: Endpoint;
  /** Whether to listen on the endpoint's port of 127.0.0.1 too. */
  readonly tcp: boolean;
}

/** Without TCP it only names the socket's file. */
export const defaultPort = 5432;

/**
 * The server's settings. They are passed on the command line, so they are always this version's;
 * others can be set in `postgresql.conf` in the data folder.
 */
export function serverSettings(options: SettingsOptions): Settings {
  return {
    unix_socket_directories: options.endpoint.socketFolder,
    unix_socket_permissions: "0700",
    listen_addresses: options.tcp ? "127.0.0.1" : "",
    port: options.endpoint.port,
    max_connections: 100,
    shared_buffers: totalmem() < 4 * 2 ** 30 ? "128MB" : "256MB",
    jit: "off", // our statements are short: compiling costs more than it saves
    password_encryption: "scram-sha-256",
    ...quietLog,
    ...(options.durable ? durable : disposable),
  };
}

/**
 * Keeps tenants' values out of the log: neither statements nor parameters nor the DETAIL of an
 * error ("Key (email)=(…) already exists"), nor errors themselves ("invalid input syntax: …"); the
 * application logs those. What remains: start, stop, crashes, and refused connections.
 */
const quietLog: Settings = {
  log_destination: "stderr",
  logging_collector: "off",
  log_min_messages: "log",
  log_min_error_statement: "panic",
  log_error_verbosity: "terse",
  log_parameter_max_length: 0,
  log_parameter_max_length_on_error: 0,
  log_statement: "none",
  log_min_duration_statement: -1,
  log_lock_waits: "off",
  log_temp_files: -1,
  log_autovacuum_min_duration: -1,
  log_checkpoints: "off",
  log_line_prefix: "%m [%p] ",
  log_timezone: "UTC",
};

const durable: Settings = {
  fsync: "on",
  full_page_writes: "on",
  // Cloning a database writes all of it to the WAL: 31 ms, and 330 ms with pglz, the only method of
  // this build.
  wal_compression: "off",
};

const disposable: Settings = {
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  wal_level: "minimal",
  max_wal_senders: 0,
  autovacuum: "off",
  io_method: "sync",
};
