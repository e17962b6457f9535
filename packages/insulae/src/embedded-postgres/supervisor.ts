/**
 * Runs a real PostgreSQL for those who have not set up one. One data folder has one server,
 * whichever process comes first. That process owns it, and stops it when it stops itself; others
 * that start on the same folder meanwhile (the CLI beside the server) attach. An owner that is done
 * waits some seconds for those attached (attached.ts). If it ends while another is attached, that
 * one starts the server anew within a second, and owns it.
 *
 *     start: found owned ──────────────▶ attached ──(it ends)──▶ start
 *            found orphan ─(shut down)─▶ start
 *            found none ───(launch)────▶ owner ─────(it ends)──▶ start, unless we stopped it
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
  /** Holds everything; made if it is not there. */
  readonly dataDir: string;
  /** Also listen on this port of 127.0.0.1, for tools that cannot use a Unix socket. */
  readonly port?: number;
  /** False for tests only: faster, and nothing survives a crash of the machine. */
  readonly durable?: boolean;
  /** PostgreSQL settings that replace ours. */
  readonly settings?: Settings;
  /** Hears of what takes long or goes wrong. */
  readonly log?: (message: string) => void;
  /** Hears what begins, where the first start or any start takes a while. */
  readonly note?: (message: string) => void;
}

export interface Embedded {
  /** As the administrator (superuser), to the database `insulae`; the same after a restart. */
  readonly url: string;
  /** Whether this process started the server, rather than finding it running. */
  readonly started: boolean;
  /**
   * Stops the server, once the processes that attached to it have ended (10 s at most) and its checkpoint is
   * written; one that another process owns is left alone. `log` hears of it where that takes long.
   */
  stop(): Promise<void>;
}

const databaseName = "insulae";

/**
 * Starts the PostgreSQL of a data folder, or attaches to it if it runs.
 *
 * @throws EmbeddedError if it cannot, with what to do about it.
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
        // Unless it refuses, its owner has just stopped it.
        if (isAnswer(error) || attempt >= 20) throw error;
        await sleep(100);
      }
    }
  };
  const first = await start().catch((error) => {
    if (endpoint !== undefined) removeSocketFolder(endpoint.socketFolder);
    throw error;
  });
  // Another process may have chosen differently. It stays so, even if this one takes over.
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

/** Made by whoever connects first after `initdb`: that need not be who ran it. */
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
