import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../testing/until.ts";
import { shutDown } from "./postmaster.ts";
import { commandLine, workOf } from "./processes.ts";
import { type Embedded, startEmbedded } from "./supervisor.ts";

// One cluster for the file, because `initdb` is slow. Each test leaves it stopped.
const dataDir = mkdtempSync(join(tmpdir(), "insulae-supervisor-"));
const pidFile = join(dataDir, "postgres", "data", "postmaster.pid");
const start = () => startEmbedded({ dataDir, durable: false });

beforeAll(async () => {
  const first = await start();
  await first.stop();
});
afterAll(() => rmSync(dataDir, { recursive: true }));

async function query(url: string, sql: string): Promise<unknown[]> {
  const connection = new pg.Client({ connectionString: url });
  await connection.connect();
  try {
    return (await connection.query({ text: sql, rowMode: "array" })).rows.flat();
  } finally {
    await connection.end();
  }
}

const serverPid = () => Number.parseInt(readFileSync(pidFile, "utf8"), 10);
const isGone = (pid: number) => commandLine(pid) === undefined;

/** Another process that starts the server of the same folder, and waits. */
async function startElsewhere(environment: Record<string, string> = {}, folder = dataDir) {
  const code = `
    import { startEmbedded } from ${JSON.stringify(join(import.meta.dirname, "supervisor.ts"))};
    const { url, started, stop } = await startEmbedded({ dataDir: process.argv[1], durable: false });
    console.log(JSON.stringify({ url, started }));
    process.stdin.once("data", () => stop().then(() => process.exit()));`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code, folder], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...environment },
  });
  const [line] = await once(child.stdout, "data");
  const { url, started }: { url: string; started: boolean } = JSON.parse(String(line));
  const exited = once(child, "exit");
  const end = (how: "stop" | "kill") => {
    if (how === "stop") child.stdin.write("stop\n");
    else child.kill("SIGKILL");
    return exited;
  };
  return { pid: Number(child.pid), url, started, end };
}

function killWatchdogOf(owner: number): void {
  const processes = execFileSync("ps", ["-A", "-o", "pid=,ppid=,command="], { encoding: "utf8" });
  const children = processes.split("\n").map((line) => line.trim().split(/\s+/));
  const watchdog = children.find(
    ([, ppid, command]) => ppid === `${owner}` && command === "/bin/sh",
  );
  process.kill(Number(watchdog?.[0]), "SIGKILL");
}

test("written data exists after a restart, at the same URL", async () => {
  const first = await start();
  expect(first.started).toBe(true);
  await query(first.url, "create table kept as select 42 as answer");
  await first.stop();
  const second = await start();
  expect(await query(second.url, "select answer from kept")).toEqual([42]);
  expect(second.url).toBe(first.url);
  await second.stop();
});

test("the server doesn't receive Ctrl-C, which goes to the terminal's process group", async () => {
  const server = await start();
  const groups = execFileSync("ps", ["-o", "pgid=", "-p", `${process.pid},${serverPid()}`]);
  expect(new Set(String(groups).trim().split(/\s+/)).size).toBe(2);
  await server.stop();
});

test("stopping is orderly, and leaves no process", async () => {
  const server = await start();
  const pid = serverPid();
  await server.stop();
  expect(isGone(pid)).toBe(true);
  expect(existsSync(pidFile)).toBe(false);
});

test("a client in a transaction does not delay the stop", async () => {
  const server = await start();
  const connection = new pg.Client({ connectionString: server.url });
  connection.on("error", () => {}); // it will be disconnected
  await connection.connect();
  await connection.query("begin; create table unfinished (id int)");
  await server.stop();
  await connection.end().catch(() => {});
});

test("a long checkpoint is awaited, and the next start replays nothing", async () => {
  const heard: string[] = [];
  const server = await startEmbedded({ dataDir, durable: false, log: (text) => heard.push(text) });
  await query(server.url, "create table written as select generate_series(1, 1000) as id");
  const checkpointers = "select pid from pg_stat_activity where backend_type = 'checkpointer'";
  const [checkpointer] = await query(server.url, checkpointers);
  process.kill(Number(checkpointer), "SIGSTOP");
  const stopped = server.stop();
  // Until it has waited longer than a stop usually takes.
  await until("it says why it waits", () => /checkpoint/.test(heard.join()), 10_000);
  process.kill(Number(checkpointer), "SIGCONT");
  await stopped;

  const again = await start();
  expect(await query(again.url, "select count(*)::int from written")).toEqual([1000]);
  await again.stop();
  const log = readFileSync(join(dataDir, "postgres", "postgres.log"), "utf8");
  const lastStart = log.slice(log.lastIndexOf("starting PostgreSQL"));
  expect(lastStart).toMatch(/database system was shut down at/);
  expect(lastStart).not.toMatch(/not properly shut down/);
});

describe("a server that is shutting down", () => {
  const shutDownWith = async (work: () => string) => {
    const sent: string[] = [];
    const heard: string[] = [];
    await shutDown({
      send: (name) => sent.push(name),
      ended: () => sent.includes("SIGQUIT") || heard.length > 5,
      work,
      log: (text) => heard.push(text),
      patienceMs: 20,
    });
    return sent;
  };

  test("is left alone while it makes progress, and stopped immediately otherwise", async () => {
    let done = 0;
    expect(await shutDownWith(() => String(++done))).toEqual(["SIGINT"]);
    expect(await shutDownWith(() => "as before")).toEqual(["SIGINT", "SIGQUIT"]);
  });

  test("makes progress while one of its processes does", async () => {
    const server = await start();
    const before = workOf(serverPid());
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    await client.query("select count(*) from generate_series(1, 3_000_000)");
    expect(workOf(serverPid())).not.toBe(before);
    await client.end();
    await server.stop();
  });
});

describe("a leftover pid file", () => {
  const stale = (pid: number) =>
    writeFileSync(pidFile, `${pid}\n${dataDir}\n1\n5432\n/tmp\n\n1 1\n`);

  test("of a dead process is ignored", async () => {
    const ended = spawn("true");
    await once(ended, "exit");
    stale(Number(ended.pid));
    await (await start()).stop();
  });

  test("whose pid is another process's now is ignored, and that process is left alone", async () => {
    // A process of the server's user: PostgreSQL itself recognises those of other users.
    const { uid, gid } = statSync(join(dataDir, "postgres", "data"));
    const other = spawn("sleep", ["60"], process.geteuid?.() === 0 ? { uid, gid } : {});
    await once(other, "spawn");
    stale(Number(other.pid));
    await (await start()).stop();
    expect(other.exitCode).toBe(null);
    other.kill();
    await once(other, "exit");
  });

  test("of somebody else's PostgreSQL is respected", async () => {
    const other = spawn("sleep", ["60"], { argv0: "postgres" });
    await once(other, "spawn");
    stale(Number(other.pid));
    await expect(start()).rejects.toThrow(`pid ${other.pid}`);
    other.kill();
    await once(other, "exit");
    rmSync(pidFile);
  });
});

describe("two processes on one folder", () => {
  test("the second attaches, and its stop leaves the server running", async () => {
    const owner = await start();
    const guest = await startElsewhere({ TMPDIR: "/var/tmp", XDG_RUNTIME_DIR: "/nowhere" });
    expect(guest).toMatchObject({ started: false, url: owner.url });
    await guest.end("stop");
    expect(await query(owner.url, "select 1")).toEqual([1]);
    await owner.stop();
  });

  test("that start concurrently share one server", async () => {
    const servers = await Promise.all([start(), start(), startElsewhere()]);
    expect(servers.filter((server) => server.started)).toHaveLength(1);
    expect(new Set(servers.map((server) => server.url)).size).toBe(1);
    const [one, two, other] = servers;
    await Promise.all([one.stop(), two.stop(), other.end("stop")]);
  });

  test("that start concurrently on an empty folder create one cluster", async () => {
    const empty = mkdtempSync(join(tmpdir(), "insulae-empty-"));
    const here = startEmbedded({ dataDir: empty, durable: false });
    const servers = await Promise.all([here, startElsewhere({}, empty), startElsewhere({}, empty)]);
    const [first, ...others] = servers;
    expect(new Set(servers.map((server) => server.url)).size).toBe(1);
    expect(readdirSync(empty)).toEqual(["postgres"]);
    await Promise.all([first.stop(), ...others.map((other) => other.end("stop"))]);
    rmSync(empty, { recursive: true });
  });

  test("the first stops the server when the second has finished, and leaves no process", async () => {
    const owner = await start();
    const pid = serverPid();
    const guest = await startElsewhere();
    let stopped = false;
    const stopping = owner.stop().then(() => {
      stopped = true;
    });
    // Also for one that arrives while the first waits.
    const late = await startElsewhere();
    await guest.end("stop");
    expect(await query(late.url, "select 1")).toEqual([1]);
    expect([late.started, stopped, serverPid()]).toEqual([false, false, pid]);
    await late.end("kill");
    await stopping;
    expect(isGone(pid)).toBe(true);
  });

  test("that start while the first stops restart the server", async () => {
    for (let round = 0; round < 5; round += 1) {
      const owner = await start();
      const stopping = owner.stop();
      const next = await start();
      expect(await query(next.url, "select 1")).toEqual([1]);
      await Promise.all([stopping, next.stop()]);
    }
  });

  test("the second takes over within a second when the first stops without waiting", async () => {
    const owner = await startElsewhere();
    const guest = await start();
    expect(guest.started).toBe(false);
    const before = serverPid();
    await owner.end("stop");
    const running = () => existsSync(pidFile) && serverPid() !== before;
    await until("a new server", running, 2000);
    await guest.stop();
    expect(existsSync(pidFile)).toBe(false);
  });
});

describe("kill -9", () => {
  test("of the owner stops the server within seconds", async () => {
    const owner = await startElsewhere();
    const pid = serverPid();
    await owner.end("kill");
    await until("the server ends", () => isGone(pid), 3000);
  });

  test("of the owner does not prevent the next start", async () => {
    const owner = await startElsewhere();
    await owner.end("kill");
    const next = await start();
    expect(next.started).toBe(true);
    expect(await query(next.url, "select 1")).toEqual([1]);
    await next.stop();
  });

  test("of the owner and its watchdog: the next start stops the orphan, and owns a new server", async () => {
    const owner = await startElsewhere();
    const orphan = serverPid();
    killWatchdogOf(owner.pid);
    await owner.end("kill");
    await sleep(200); // time for it to exit, if it wrongly did
    expect(isGone(orphan)).toBe(false);
    const next = await start();
    expect(next.started).toBe(true);
    expect(isGone(orphan)).toBe(true);
    await next.stop();
  });

  test("of the server: it is restarted with all committed rows", async () => {
    const server = await startEmbedded({ dataDir });
    await query(server.url, "create table committed as select 7 as n");
    const killed = serverPid();
    process.kill(killed, "SIGKILL");
    await until("a new server", () => existsSync(pidFile) && serverPid() !== killed, 5000);
    const again: Embedded = await start();
    expect(again).toMatchObject({ started: false, url: server.url });
    expect(await query(server.url, "select n from committed")).toEqual([7]);
    await again.stop();
    await server.stop();
  });
});

test("a folder of another PostgreSQL version is left unchanged, with an explanation", async () => {
  const version = join(dataDir, "postgres", "data", "PG_VERSION");
  const content = readFileSync(version, "utf8");
  writeFileSync(version, "17\n");
  await expect(start()).rejects.toThrow(/is from PostgreSQL 17/);
  writeFileSync(version, content);
});

test("a data folder that is a file is an error with a remedy", async () => {
  const file = join(dataDir, "file");
  writeFileSync(file, "");
  await expect(startEmbedded({ dataDir: file })).rejects.toThrow(/Set DATA_DIR to another folder/i);
});

test("a failed start reports PostgreSQL's output", async () => {
  const settings = { shared_buffers: "nonsense" };
  const failing = startEmbedded({ dataDir, settings });
  await expect(failing).rejects.toThrow(/shared_buffers.*nonsense/);
});
