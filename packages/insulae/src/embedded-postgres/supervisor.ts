/**
 * Runs a PostgreSQL for users who have not set one up. A data folder has one server, started by the
 * first process. That process owns it, and stops it when it exits; others that start on the same
 * folder meanwhile (the CLI while the server runs) attach. Before stopping, the owner waits some
 * seconds for attached processes (attached.ts). If the owner exits while another process is
 * attached, that one restarts the server within a second and owns it.
 *
 *     start: found owned ──────────────▶ attached ──(it exits)─▶ start
 *            found orphan ─(shut down)─▶ start
 *            found none ───(launch)────▶ owner ─────(it exits)─▶ start, unless we stopped it
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { isAnswer } from "../kernel/engine/errors.ts";
import { holdServer, stopUnheld } from "./attached.ts";
import { copyPlaces, findBinaries } from "./binaries.ts";
import { administrator, type DataFolder, openCluster, prepareFolder } from "./data-folder.ts";
import { attachOrLaunch, keepRunning } from "./keep-running.ts";
import { launch } from "./launch.ts";
import { readEndpoint } from "./postmaster.ts";
import { defaultPort, type Settings, serverSettings } from "./settings.ts";
import { chooseSocketFolder, type Endpoint, removeSocketFolder } from "./socket-folder.ts";

export interface EmbeddedOptions {
  /** The folder for everything; created if missing. */
  readonly dataDir: string;
  /** Also listen on this port of 127.0.0.1, for tools that can't use a Unix socket. */
  readonly port?: number;
  /** False for tests only: faster, but nothing survives a crash of the machine. */
  readonly durable?: boolean;
  /** PostgreSQL settings that override ours. */
  readonly settings?: Settings;
  /** Reports problems and slow operations. */
  readonly log?: (message: string) => void;
  /** Reports the beginning of steps that may take a while. */
  readonly note?: (message: string) => void;
}

export interface Embedded {
  /** The administrator's (superuser's) URL of the database `insulae`; the same after a restart. */
  readonly url: string;
  /** Whether this process started the server, rather than attaching to it. */
  readonly started: boolean;
  /**
   * Stops the server once the attached processes have finished (at most 10 s) and its checkpoint is
   * written. A server owned by another process keeps running. Slow steps are reported to `log`.
   */
  stop(): Promise<void>;
}

const databaseName = "insulae";

/**
 * Starts a data folder's PostgreSQL, or attaches to it if it is running.
 *
 * @throws EmbeddedError with the reason and a remedy
 * @example
 * const { url, stop } = await startEmbedded({ dataDir: ".insulae" });
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { log = () => {}, note = () => {} } = options;
  const durable = options.durable ?? true;
  const { root, user } = prepareFolder(options.dataDir);
  const binaries = findBinaries(user, copyPlaces(root, user), undefined, note);
  const folder = await openCluster(root, user, binaries, durable, note);
  let endpoint: Endpoint | undefined;
  const launchHere = async () => {
    const port = options.port ?? defaultPort;
    if (endpoint === undefined) note("Starting the embedded PostgreSQL …");
    endpoint ??= { socketFolder: await chooseSocketFolder(folder), port };
    const ours = serverSettings({ durable, endpoint, tcp: options.port !== undefined });
    return launch(folder, binaries, endpoint.socketFolder, { ...ours, ...options.settings });
  };
  let letGo = async () => {};
  const start = async () => {
    for (let attempt = 1; ; attempt += 1) {
      const running = await attachOrLaunch(folder, launchHere, log);
      if (running.owned !== undefined) return running;
      try {
        letGo = await holdServer(connectionUrl(folder, readEndpoint(folder)));
        return running;
      } catch (error) {
        // Unless the server refused us, its owner has just stopped it.
        if (isAnswer(error) || attempt >= 20) throw error;
        await sleep(100);
      }
    }
  };
  const first = await start().catch((error) => {
    if (endpoint !== undefined) removeSocketFolder(endpoint.socketFolder);
    throw error;
  });
  // Another process may have chosen a different endpoint. It stays, even if this process takes
  // over.
  endpoint = readEndpoint(folder);
  const { socketFolder } = endpoint;
  const url = connectionUrl(folder, endpoint);
  const end = keepRunning(folder, first, start, log, (shutDown) => stopUnheld(url, shutDown, log));
  const stop = async () => {
    await end();
    await letGo();
    removeSocketFolder(socketFolder);
  };
  await ensureDatabase(url).catch(async (error) => {
    await stop();
    throw error;
  });
  return { url, started: first.owned !== undefined, stop };
}

function connectionUrl(folder: DataFolder, endpoint: Endpoint): string {
  const host = `${encodeURIComponent(endpoint.socketFolder)}:${endpoint.port}`;
  return `postgres://${administrator}:${folder.password}@${host}/${databaseName}?sslmode=disable`;
}

/** Created by whoever connects first after `initdb`, not necessarily the one who ran it. */
async function ensureDatabase(url: string): Promise<void> {
  const connection = new pg.Client({ connectionString: url });
  try {
    await connection.connect();
  } catch (error) {
    if (!isDatabaseError(error, "3D000")) throw error;
    await createDatabase(url);
  } finally {
    await connection.end();
  }
}

async function createDatabase(url: string): Promise<void> {
  const elsewhere = new URL(url);
  elsewhere.pathname = "/postgres";
  const connection = new pg.Client({ connectionString: elsewhere.href });
  await connection.connect();
  try {
    await connection.query(`create database ${databaseName}`);
  } catch (error) {
    const madeMeanwhile = isDatabaseError(error, "42P04") || isDatabaseError(error, "23505");
    if (!madeMeanwhile) throw error;
  } finally {
    await connection.end();
  }
}

function isDatabaseError(error: unknown, code: string): boolean {
  return error instanceof pg.DatabaseError && error.code === code;
}
