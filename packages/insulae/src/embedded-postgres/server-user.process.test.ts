import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { canReach } from "./server-user.ts";
import { startEmbedded } from "./supervisor.ts";

const daemon = 1;
const nodeIsReachable = canReach({ uid: daemon, gid: daemon }, process.execPath);

// In a container everything runs as root, who may not run PostgreSQL.
describe.runIf(process.geteuid?.() === 0)("as root", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "insulae-root-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function serves(dataDir: string): Promise<void> {
    const server = await startEmbedded({ dataDir, durable: false });
    const connection = new pg.Client({ connectionString: server.url });
    await connection.connect();
    // Reads and writes its own files, by whatever path it was given.
    await connection.query("create table t as select generate_series(1, 1000) as n; checkpoint");
    await connection.query("alter system set work_mem = '5MB'");
    await connection.query("select pg_reload_conf()");
    await connection.end();
    await server.stop();
    const again = await startEmbedded({ dataDir, durable: false });
    await again.stop();
  }

  test("a data folder below a folder that only root can enter works", async () => {
    const dataDir = join(folder, "private", "data");
    mkdirSync(join(folder, "private"), { mode: 0o700 });
    await serves(dataDir);
    expect(statSync(join(dataDir, "postgres", "data")).uid).not.toBe(0);
    expect(statSync(dataDir).uid).toBe(0);
  });

  test("a data folder that everybody can reach works", async () => {
    chmodSync(folder, 0o755);
    const dataDir = join(folder, "data");
    mkdirSync(dataDir, { mode: 0o755 });
    await serves(dataDir);
  });

  test("a data folder owned by an ordinary user is served as that user, who can start it afterwards", async () => {
    chmodSync(folder, 0o755);
    const dataDir = join(folder, "data");
    mkdirSync(dataDir, { mode: 0o700 });
    chownSync(dataDir, daemon, daemon);
    await serves(dataDir);
    expect(statSync(join(dataDir, "postgres", "data", "PG_VERSION")).uid).toBe(daemon);
    if (!nodeIsReachable) return;
    const code = `
      import { startEmbedded } from ${JSON.stringify(join(import.meta.dirname, "supervisor.ts"))};
      const { stop } = await startEmbedded({ dataDir: process.argv[1], durable: false });
      await stop();`;
    const { status, stderr } = spawnSync(
      process.execPath,
      ["--input-type=module", "-e", code, dataDir],
      { uid: daemon, gid: daemon, encoding: "utf8" },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});
