/** The servers that are compared, and how to start each. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkAnswers } from "./check.ts";
import { type Caller, tenantId } from "./dataset.ts";
import type { Insulae } from "./insulae.ts";
import { type LoadResult, type Operation, runLoad } from "./load.ts";
import { runPgbench } from "./pgbench.ts";
import { type ServerProcess, startServer } from "./server-process.ts";
import { signHs256 } from "./tokens.ts";
import { isOnPath } from "./which.ts";

export const connections = 32;

export interface Contender {
  readonly name: string;
  /** The databases that it inserts into; default: the main one. */
  readonly databases?: readonly string[];
  /** The reason if it can't be measured here. */
  readonly missing?: string;
  start(): Promise<Runner>;
}

export interface Runner {
  /** The process that serves requests, if there is one. */
  readonly server?: ServerProcess;
  measure(operation: Operation, seconds: number): Promise<LoadResult>;
  stop(): Promise<void>;
}

/** The number of measured tenants with their own database: as many as can have a lane at a time. */
export const measuredDatabases = 20;

export async function createContenders(insulae: Insulae): Promise<Contender[]> {
  const tenants = await insulae.databaseTenants(measuredDatabases);
  return [
    {
      name: insulaeName,
      start: async () => overHttp(await insulae.start(), "/api/v1", insulae.pool),
    },
    {
      name: quietName,
      start: async () =>
        overHttp(await insulae.start({ LOG_LEVEL: "warn" }), "/api/v1", insulae.pool),
    },
    {
      name: `Insulae, ${measuredDatabases} tenant databases`,
      databases: tenants.map(({ database }) => database),
      start: async () => overHttp(await insulae.start(), "/api/v1", tenants),
    },
    ...baselines(insulae),
    pgbench("pgbench, four round trips", insulae.appUrl, false),
    pgbench("pgbench, pipelined", insulae.appUrl, true),
  ];
}

export const insulaeName = "Insulae, pool";
export const quietName = "Insulae, pool, LOG_LEVEL=warn";
export const bareNames = ["bare, one lane", "bare, four lanes"] as const;
export const limitName = "pgbench, pipelined";
export const usualName = "Express + pg, transaction";
export const bestName = "Hono on Bun, transaction";

/** Pool sizes are the fastest of 4, 8, 16 and 32 on two cores. */
function baselines(insulae: Insulae): Contender[] {
  const secret = randomBytes(32).toString("hex");
  const callers = insulae.pool.map(({ ordinal }) => ({
    ordinal,
    token: signHs256({ sub: "bench", tenant_id: tenantId(ordinal) }, secret),
  }));
  const start = async (command: string, file: string, poolSize: number) => {
    const server = await startServer({
      command,
      args: [join(import.meta.dirname, "baselines", file)],
      env: {
        NODE_ENV: "production",
        DATABASE_URL: insulae.appUrl,
        JWT_SECRET: secret,
        POOL_SIZE: String(poolSize),
      },
      probe: "/",
    });
    return overHttp(server, "", callers);
  };
  const bun = bunProgram();
  const [oneLane, fourLanes] = bareNames;
  return [
    { name: oneLane, start: () => start(process.execPath, "bare.ts", 1) },
    { name: fourLanes, start: () => start(process.execPath, "bare.ts", 4) },
    { name: usualName, start: () => start(process.execPath, "express.ts", 16) },
    {
      name: bestName,
      ...(bun === undefined && { missing: "there is no Bun for this platform" }),
      start: () => start(bun ?? "bun", "hono-bun.ts", 32),
    },
  ];
}

function bunProgram(): string | undefined {
  const architecture = process.arch === "arm64" ? "aarch64" : process.arch;
  const name = `bun-${process.platform}-${architecture}`;
  const program = join(import.meta.dirname, "node_modules/@oven", name, "bin/bun");
  return existsSync(program) ? program : undefined;
}

/** Verifies the responses first: a fast wrong answer is worthless. */
async function overHttp(
  server: ServerProcess,
  prefix: string,
  callers: readonly Caller[],
): Promise<Runner> {
  try {
    await checkAnswers(server.baseUrl + prefix, callers);
  } catch (error) {
    await server.stop();
    throw error;
  }
  const { baseUrl, stop } = server;
  return {
    server,
    measure: (operation, seconds) =>
      runLoad({ baseUrl, prefix, operation, callers, seconds, connections }),
    stop,
  };
}

const pgbench = (name: string, url: string, pipelined: boolean): Contender => ({
  name,
  ...(!isOnPath("pgbench") && { missing: "pgbench is not on the PATH" }),
  start: async () => ({
    measure: (operation, seconds) =>
      runPgbench({ url, operation, pipelined, seconds, connections }),
    stop: async () => {},
  }),
});
