/** Several processes behind one port, as an operator starts, monitors, damages and stops them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { request as secureRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { freePort } from "../testing/free-port.ts";
import { makeCertificate } from "../testing/test-certificates.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "insulae-workers-"));
const logFile = join(folder, "insulae.log");
const password = "an-Unusual-passphrase-1";
const wait = { timeout: 60_000, interval: 50 };
const slowStart = { timeout: 120_000, interval: 100 };

let [port, tlsPort, logPort] = [0, 0, 0];
let primary: ReturnType<typeof launch>;
let url = "";
let authority = "";

/** In a worker, SIGUSR2 blocks the event loop forever. */
const blockable = join(folder, "blockable.cjs");
writeFileSync(blockable, 'process.on("SIGUSR2", () => { for (;;); });');

const launch = (...args: string[]) => {
  const child = spawn(process.execPath, [main, "start", ...args], {
    cwd: folder,
    env: {
      PATH: process.env.PATH ?? "",
      DATA_DIR: join(folder, "data"),
      PORT: String(port),
      TLS_PORT: String(tlsPort),
      APP_WS_PORT: String(logPort),
      TLS_CERT_FILE: join(folder, "cert.pem"),
      TLS_KEY_FILE: join(folder, "key.pem"),
      LOG_FILE: logFile,
      LOG_LEVEL: "info",
      ADMIN_EMAIL: "admin@example.com",
      ADMIN_PASSWORD: password,
      RATE_LIMIT_ANONYMOUS: "40",
      NODE_OPTIONS: `--require ${blockable}`,
    },
  });
  const said = { child, stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => {
    said.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    said.stderr += chunk;
  });
  return said;
};

beforeAll(async () => {
  [port, tlsPort, logPort] = [await freePort(), await freePort(), await freePort()];
  url = `http://127.0.0.1:${port}`;
  const { cert, key } = await makeCertificate({ hosts: ["localhost"], usage: "server" });
  authority = cert;
  writeFileSync(join(folder, "cert.pem"), cert);
  writeFileSync(join(folder, "key.pem"), key);
  primary = launch("--workers", "2");
  await vi.waitFor(
    () => expect(primary.stdout + primary.stderr).toMatch(/Ctrl-C|error:/),
    slowStart,
  );
  expect(primary).toMatchObject({ stdout: expect.stringContaining("Ctrl-C") });
}, 150_000);
afterAll(() => {
  primary?.child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** Of live processes. */
const workers = (): number[] =>
  readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[1] ===
            String(primary.child.pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(main)
        );
      } catch {
        return false; // it has exited meanwhile
      }
    })
    .map(Number);

/** On a new connection: the next one goes to another worker. */
async function ask(path: string, token?: string) {
  const sent = request(url + path, {
    agent: false,
    headers: { ...(token && { authorization: `Bearer ${token}` }) },
  }).end();
  const [response] = await once(sent, "response");
  let body = "";
  for await (const chunk of response) body += chunk;
  return { status: response.statusCode as number, body };
}

async function logIn(): Promise<string> {
  const answer = await fetch(`${url}/api/v1/auth/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: "admin@example.com", password }),
  });
  const body = (await answer.json()) as Record<string, string | undefined>;
  expect([answer.status, body.code]).toEqual([200, undefined]);
  return body.access_token ?? body.token ?? "";
}

test("there is one welcome, one PostgreSQL, one migration, and two workers", async () => {
  expect(primary.stdout.match(/ready in/g)).toHaveLength(1);
  expect(primary.stderr.match(/migrated schema=control/g)).toHaveLength(1);
  expect(workers()).toHaveLength(2);
  for (const worker of [1, 2]) {
    await expect
      .poll(async () => {
        await ask("/health/live");
        return readFileSync(logFile, "utf8");
      })
      .toContain(`"worker":${worker}`);
  }
});

test("metrics cover both workers and the primary, whichever responds", async () => {
  for (let i = 0; i < 2; i += 1) {
    const { body } = await ask("/metrics");
    const names = [...body.matchAll(/^process_resident_memory_bytes\{worker="(\w+)"\} \d+/gm)];
    expect(names.map(([, worker]) => worker).toSorted()).toEqual(["1", "2", "primary"]);
    expect(body.match(/^# TYPE http_requests_total counter$/gm)).toHaveLength(1);
  }
});

test("live logs show the lines of both workers, on the log port too", async () => {
  const token = await logIn();
  for (const address of [`ws://127.0.0.1:${port}/api/ws/logs`, `ws://127.0.0.1:${logPort}/logs`]) {
    const viewer = new WebSocket(`${address}?format=json`, {
      headers: { authorization: `Bearer ${token}` },
    });
    let seen = "";
    viewer.on("message", (text) => {
      seen += text;
    });
    await once(viewer, "open");
    await expect
      .poll(async () => {
        await ask("/api/v1/auth/me", token);
        return ["worker=1", "worker=2"].filter((worker) => seen.includes(worker));
      }, wait)
      .toHaveLength(2);
    viewer.close();
  }
});

test("both terminate TLS on one port, with the server's certificate", async () => {
  const seen = new Set<string>();
  await expect
    .poll(async () => {
      const sent = secureRequest(`https://localhost:${tlsPort}/health/live`, {
        agent: false,
        ca: authority,
      }).end();
      const [response] = await once(sent, "response");
      response.resume();
      const id = String(response.headers["x-request-id"]);
      await vi.waitFor(() => expect(readFileSync(logFile, "utf8")).toContain(id), wait);
      const line = readFileSync(logFile, "utf8")
        .split("\n")
        .find((text) => text.includes(id));
      seen.add(String(JSON.parse(line ?? "{}").worker));
      return seen.size;
    }, wait)
    .toBe(2);
});

test("a killed worker is replaced, and requests continue", async () => {
  const [killed = 0] = workers();
  process.kill(killed, "SIGKILL");
  await expect.poll(() => primary.stderr, wait).toContain("A worker exited");
  expect((await ask("/health/ready")).status).toBe(200);
  await expect.poll(() => primary.stderr, wait).toContain("A replacement worker is listening");
  expect(workers()).toHaveLength(2);
  expect(workers()).not.toContain(killed);
  await expect.poll(async () => (await ask("/metrics")).body).toMatch(/worker="1".*worker="2"/s);
});

test.each(["SIGUSR2", "SIGSTOP"])(
  "a worker that hangs (%s) is replaced, and no client waits for it",
  {
    timeout: 120_000,
  },
  async (signal) => {
    const before = primary.stderr.length;
    const said = () => primary.stderr.slice(before);
    const [hanging = 0, other = 0] = workers();
    process.kill(hanging, signal);
    // At least one of them goes to the worker that hangs.
    const asked = Promise.allSettled(Array.from({ length: 4 }, () => ask("/health/live")));
    await expect.poll(said, wait).toContain("has not answered for 10 seconds");
    await expect.poll(said, wait).toContain("A replacement worker is listening");
    expect(workers()).not.toContain(hanging);
    expect(workers()).toContain(other);
    const outcomes = (await asked).map(({ status }) => status);
    expect(outcomes).toContain("rejected");
    expect(outcomes).toContain("fulfilled");
  },
);

test("all reopen LOG_FILE on SIGHUP, and signals to workers have no effect", async () => {
  rmSync(logFile);
  for (const pid of workers()) process.kill(pid, "SIGTERM");
  primary.child.kill("SIGHUP");
  await expect.poll(() => existsSync(logFile), wait).toBe(true);
  await expect
    .poll(async () => {
      await ask("/health/live");
      const log = readFileSync(logFile, "utf8");
      return [1, 2].every((worker) => log.includes(`"worker":${worker}`));
    }, wait)
    .toBe(true);
  expect(workers()).toHaveLength(2);
});

// From here on this client's rate is used up.
test("a rate limit applies to both workers together", async () => {
  const answers: number[] = [];
  const began = performance.now();
  for (let i = 0; i < 60; i += 1) answers.push((await ask("/api/v1/nothing")).status);
  const granted = answers.filter((status) => status === 404).length;
  const regained = Math.ceil(((performance.now() - began) / 60_000) * 40);
  expect(granted).toBeGreaterThanOrEqual(40);
  expect(granted).toBeLessThanOrEqual(40 + regained);
});

test("a second server on the port, and too many workers for the connections, are refused", async () => {
  const taken = launch("--workers", "2");
  expect(await once(taken.child, "close")).toEqual([1, null]);
  expect(taken.stderr).toContain("is taken by");
  const many = launch("--workers", "7");
  await once(many.child, "close");
  expect(many.stderr).toContain("DB_CONNECTIONS is 40, too few for 7 workers");
});

describe("the remains of a node", () => {
  const ofFolder = () =>
    readdirSync("/proc").filter((pid) => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, "utf8").includes(folder);
      } catch {
        return false;
      }
    });
  const start = async () => {
    primary = launch("--workers", "2");
    await expect.poll(() => primary.stdout, slowStart).toContain("Ctrl-C");
    expect(workers()).toHaveLength(2);
  };
  const endOf = async (signal: NodeJS.Signals) => {
    const ended = once(primary.child, "exit");
    primary.child.kill(signal);
    const [code] = await ended;
    return code;
  };

  test("after SIGTERM are none: all workers have exited, and PostgreSQL last", async () => {
    expect(await endOf("SIGTERM")).toBe(0);
    expect(ofFolder()).toEqual([]);
  });

  test("after SIGTERM are none, even if a worker is blocked: it is killed", {
    timeout: 150_000,
  }, async () => {
    await start();
    for (const pid of workers()) process.kill(pid, "SIGUSR2");
    expect(await endOf("SIGTERM")).toBe(1);
    expect(primary.stderr).toContain("did not exit in time");
    expect(ofFolder()).toEqual([]);
  });

  test("after kill -9 of the primary are none, even if workers are blocked or stopped", {
    timeout: 150_000,
  }, async () => {
    await start();
    const [one = 0, two = 0] = workers();
    process.kill(one, "SIGUSR2");
    process.kill(two, "SIGSTOP");
    await endOf("SIGKILL");
    await expect.poll(ofFolder, wait).toEqual([]);
  });
});
