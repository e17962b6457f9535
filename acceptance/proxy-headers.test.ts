/** Which trusted headers the proxies of `deploy/proxy/` forward. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, request } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { haproxy, nginx, type StartProxy, startHaproxy, startNginx } from "./proxies.ts";
import { temporaryFolder } from "./server.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const cleanups: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
  await folder.remove();
});

/** A stand-in for a node: responds with the headers it received. */
async function startEcho(): Promise<number> {
  const server = createServer((message, answer) => answer.end(JSON.stringify(message.headers)));
  await once(server.listen(0, "127.0.0.1"), "listening");
  cleanups.push(async () => server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it has no port");
  return address.port;
}

async function ask(port: number, headers: Record<string, string>): Promise<IncomingHttpHeaders> {
  const sent = request({ port, host: "127.0.0.1", path: "/", headers, agent: false }).end();
  const [answer] = await once(sent, "response");
  return JSON.parse((await answer.toArray()).join(""));
}

async function passesOnNoWordOfAClient(start: StartProxy): Promise<void> {
  const node = await startEcho();
  const proxy = await start(folder.path, [node, node, node]);
  cleanups.push(proxy.stop);
  const forged = {
    "client-cert": ":AAAA:",
    "client-cert-chain": ":AAAA:",
    "x-forwarded-host": "forged.example",
    "x-forwarded-proto": "forged",
    "x-request-id": "forged",
    "x-forwarded-for": "192.0.2.1",
  };
  const seen = await ask(proxy.port, { host: "acme.example", ...forged });
  expect(seen).toMatchObject({ host: "acme.example", "x-forwarded-proto": "http" });
  expect(seen["x-request-id"]).toMatch(/^[0-9a-f-]{32,36}$/);
  expect(seen["x-forwarded-for"]).toBe("192.0.2.1, 127.0.0.1");
  for (const name of ["client-cert", "client-cert-chain", "x-forwarded-host"]) {
    expect(seen).not.toHaveProperty(name);
  }
}

const title = "passes on no client's word about itself";
test.skipIf(!haproxy)(`HAProxy ${title}`, () => passesOnNoWordOfAClient(startHaproxy));
test.skipIf(!nginx)(`nginx ${title}`, () => passesOnNoWordOfAClient(startNginx));
