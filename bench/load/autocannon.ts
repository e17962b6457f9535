/**
 * autocannon in its own process, as a substitute for wrk: `node autocannon.ts <url> <operation>
 * <prefix> <file of callers> <connections> <seconds>`. Each connection cycles through requests
 * chosen at random and built before the start: 400, or together as many as there are callers.
 */
import { readFileSync } from "node:fs";
import autocannon from "autocannon";
import { contactId, contactsPerTenant } from "../dataset.ts";

const [url = "", operation = "", prefix = "", file = "", connections = "", seconds = ""] =
  process.argv.slice(2);

const callers = readFileSync(file, "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => line.split(" ") as [ordinal: string, token: string]);

const upTo = (count: number) => Math.floor(Math.random() * count);

function randomRequest(): autocannon.Request {
  const [ordinal, token] = callers[upTo(callers.length)] ?? ["", ""];
  const headers = { authorization: `Bearer ${token}` };
  const contacts = `${prefix}/contacts`;
  if (operation === "list") return { method: "GET", path: `${contacts}?limit=25`, headers };
  if (operation === "elsewhere") {
    const elsewhere = { ...headers, "x-tenant": `bench-${ordinal}` };
    return { method: "GET", path: contacts, headers: elsewhere };
  }
  if (operation === "one") {
    const id = contactId(Number(ordinal), 1 + upTo(contactsPerTenant));
    return { method: "GET", path: `${contacts}/${id}`, headers };
  }
  const body = JSON.stringify({
    name: "Ada Lovelace",
    email: "ada@example.com",
    phone: "+44 20 7946 0000",
    company: "Analytical Engines",
    notes: "Written by the benchmark",
  });
  const type = { "content-type": "application/json" };
  return { method: "POST", path: contacts, headers: { ...headers, ...type }, body };
}

const each = Math.max(400, Math.ceil(callers.length / Number(connections)));

const result = await autocannon({
  url,
  connections: Number(connections),
  duration: Number(seconds),
  setupClient: (client) => client.setRequests(Array.from({ length: each }, randomRequest)),
});

console.log(
  JSON.stringify({
    requests: result.requests.total,
    seconds: result.duration,
    failed: result.non2xx + result.errors,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
  }),
);
