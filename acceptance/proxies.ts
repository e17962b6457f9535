/**
 * HAProxy and nginx with the configurations in `deploy/proxy/`, in front of nodes on this machine.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { findProgram } from "./on-path.ts";
import { freePort } from "./server.ts";
import { until } from "./until.ts";

export const haproxy = findProgram("haproxy", "INSULAE_TEST_PROXIES");
export const nginx = findProgram("nginx", "INSULAE_TEST_PROXIES");

interface Proxy {
  /** The port it listens on. */
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * @param folder for its files
 * @param nodes three ports
 */
export type StartProxy = (folder: string, nodes: readonly number[]) => Promise<Proxy>;

/** A file of deploy/proxy, adapted to nodes and a proxy on this machine. */
function configuration(name: string, nodes: readonly number[], listen: number): string {
  let text = readFileSync(join(import.meta.dirname, "../deploy/proxy", name), "utf8");
  for (const [index, port] of nodes.entries()) {
    text = text.replace(`10.0.0.${index + 1}:8000`, `127.0.0.1:${port}`);
  }
  if (text.includes("10.0.0.")) throw new Error(`${name} has more nodes than the test`);
  return text
    .replace("bind :80", `bind 127.0.0.1:${listen}`)
    .replace("listen 80", `listen 127.0.0.1:${listen}`);
}

async function run(program: string, args: readonly string[], port: number): Promise<Proxy> {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let output = "";
  child.stderr.on("data", (text) => {
    output += text;
  });
  await until(
    () => `${program} listens:\n${output}`,
    () => {
      if (child.exitCode !== null) throw new Error(`${program} has ended:\n${output}`);
      return isListening(port);
    },
  );
  const stop = async () => {
    if (child.exitCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  };
  return { port, stop };
}

const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });

export const startHaproxy: StartProxy = async (folder, nodes) => {
  const port = await freePort();
  const file = join(folder, "haproxy.cfg");
  writeFileSync(file, configuration("haproxy.cfg", nodes, port));
  return run(haproxy ?? "", ["-db", "-f", file], port);
};

export const startNginx: StartProxy = async (folder, nodes) => {
  const port = await freePort();
  const path = (name: string) => join(folder, name);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${path(name)};`)
    .join("\n");
  writeFileSync(path("insulae.conf"), configuration("nginx.conf", nodes, port));
  writeFileSync(
    path("nginx.conf"),
    `daemon off; pid ${path("nginx.pid")}; error_log stderr crit;
     events {}
     http { access_log off; ${temporary} include ${path("insulae.conf")}; }`,
  );
  return run(nginx ?? "", ["-c", path("nginx.conf"), "-p", folder], port);
};
