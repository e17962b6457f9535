import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { App } from "../app/app-api.ts";
import { addMember, createMember, type TestMember } from "../testing/fixtures.ts";
import { createTestApp } from "../testing/index.ts";

let app: App;
let url: string;
let owner: TestMember;
let viewer: TestMember;
beforeAll(async () => {
  app = await createTestApp();
  url = await app.listen({ port: 0, host: "127.0.0.1" });
  const { tenant } = await createMember(app);
  owner = await addMember(app, tenant, "owner");
  viewer = await addMember(app, tenant, "viewer");
}, 60_000);
afterAll(() => app?.close());

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

function insulae(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [main, "logs", "-f", "--url", url, ...args], {
    env: { PATH: process.env.PATH, NODE_NO_WARNINGS: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const ended = once(child, "close").then(([code]) => code as number);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return { lines, ended };
}

test.each([
  ["as text", [], /^\[[\d-]{10} [\d:.]{12}\] WARN \[insulae::server\] it happened$/],
  ["as JSON", ["--json"], /^\{"timestamp":"[^"]+","level":"WARN",.*"message":"it happened"\}$/],
])("insulae logs -f streams lines %s", async (_form, args, expected) => {
  const { lines } = insulae([...args, "--level", "warn"], { INSULAE_TOKEN: owner.token });
  await expect
    .poll(
      async () => {
        await app.withTenant(owner.tenant, async ({ log }) => {
          log.info("not this");
          log.warn("it happened");
        });
        return lines.map((line) => line.replace(/ tenant_id=\S+?(?="|$)/, ""));
      },
      { timeout: 20_000 },
    )
    .toContainEqual(expect.stringMatching(expected));
  expect(lines.join()).not.toContain("not this");
});

test("insulae logs exits without permission, or if no server responds", async () => {
  const refused = insulae([], { INSULAE_TOKEN: viewer.token });
  expect(await refused.ended).toBe(5);
  const foreign = insulae(["--tenant", "01900000-0000-7000-8000-000000000000"], {
    INSULAE_TOKEN: owner.token,
  });
  expect(await foreign.ended).toBe(5);
  expect(await insulae([]).ended).toBe(4);
  const away = insulae(["--url", "http://127.0.0.1:1"], { INSULAE_TOKEN: "x" });
  expect(await away.ended).toBe(3);
});
