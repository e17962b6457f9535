/**
 * Finds the process that listens on a port. Best effort, for error messages: it sees only what this
 * user may see.
 */
import { execFileSync } from "node:child_process";
import { lookup } from "node:dns/promises";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";

/** Whether another process listens there. `localhost` has two addresses; both must be free. */
export async function isPortTaken(host: string, port: number): Promise<boolean> {
  if (port === 0) return false;
  const addresses = await lookup(host, { all: true }).catch(() => [{ address: host }]);
  const taken = await Promise.all(addresses.map(({ address }) => cannotBind(address, port)));
  return taken.includes(true);
}

const cannotBind = (address: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    // An address that this machine lacks (no IPv6) is not taken.
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EADDRINUSE"));
    probe.listen({ host: address, port, exclusive: true }, () => probe.close(() => resolve(false)));
  });

export interface Listener {
  readonly pid: number;
  readonly command: string;
}

/** The process that listens on the TCP port; undefined if unknown. */
export function findListener(port: number): Listener | undefined {
  try {
    return process.platform === "linux" ? findInProc(port) : findWithLsof(port);
  } catch {
    return undefined;
  }
}

/** proc(5): `net/tcp` lists the inodes of listening sockets, `<pid>/fd` links to them. */
function findInProc(port: number): Listener | undefined {
  const inodes = new Set(["tcp", "tcp6"].flatMap((table) => listeningInodes(table, port)));
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    if (!socketsOf(pid).some((inode) => inodes.has(inode))) continue;
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    return { pid: Number(pid), command };
  }
  return undefined;
}

const listening = "0A";

function listeningInodes(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return readFileSync(`/proc/net/${table}`, "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(`:${hex}`) && state === listening)
    .flatMap((fields) => fields[9] ?? []);
}

function socketsOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // Closed meanwhile.
      }
    });
  } catch {
    return []; // Another user's, or exited.
  }
}

function findWithLsof(port: number): Listener | undefined {
  const options = ["-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpc"];
  const lines = execFileSync("lsof", options, { encoding: "utf8", timeout: 2_000 }).split("\n");
  const pid = lines.find((line) => line.startsWith("p"))?.slice(1);
  const command = lines.find((line) => line.startsWith("c"))?.slice(1) ?? "";
  return pid === undefined ? undefined : { pid: Number(pid), command };
}

/** `port 8000 is taken by node app.js (pid 4711)` */
export function describeTaken(port: number): string {
  const listener = findListener(port);
  const command = listener && shorten(listener.command);
  const by = listener ? ` by ${command} (pid ${listener.pid})` : "";
  return `Port ${port} is taken${by}.`;
}

const shorten = (text: string): string => (text.length > 100 ? `${text.slice(0, 99)}…` : text);
