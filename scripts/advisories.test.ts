/** The real npm with a registry that responds as each test says. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, it, onTestFinished, vi } from "vitest";

// npm takes seconds to start, more on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

interface Advisories {
  readonly status: number;
  readonly body: object;
}

/** The command's output and exit code. */
async function ask({ status, body }: Advisories, ...args: string[]) {
  const registry = createServer((request, response) => {
    const asked = request.method === "POST" && request.url?.endsWith("/advisories/bulk");
    response.writeHead(asked ? status : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(asked ? body : {}));
  }).listen(0, "127.0.0.1");
  await once(registry, "listening");
  onTestFinished(() => void registry.close());
  const { port } = registry.address() as AddressInfo; // it listens on TCP
  const child = spawn(process.execPath, ["scripts/advisories.ts", ...args], {
    env: { ...process.env, npm_config_registry: `http://127.0.0.1:${port}/` },
  });
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  return { said, code };
}

const advisory = {
  id: 1,
  url: "https://example.com/advisory",
  title: "A hole",
  severity: "high",
  vulnerable_versions: "*",
};

it("passes if the registry knows of no vulnerability", async () => {
  const { said, code } = await ask({ status: 200, body: {} });
  expect([said.trim(), code]).toEqual(["No dependency has a known vulnerability", 0]);
});

it("fails if a dependency has a known vulnerability, and names it", async () => {
  const { said, code } = await ask({ status: 200, body: { ws: [advisory] } });
  expect(said).toContain("high  ws: A hole, https://example.com/advisory");
  expect(code).toBe(1);
});

it("reports that the registry does not answer, and fails if an answer is required", async () => {
  const silent = { status: 405, body: {} };
  const { said, code } = await ask(silent);
  expect(said).toMatch(/^COULD NOT ASK for known vulnerabilities, .*405/);
  expect(code).toBe(0);
  expect((await ask(silent, "--required")).code).toBe(1);
});
