/**
 * A webhook receiver for tests: a real HTTP server with configurable responses that records
 * requests.
 */
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { until } from "../../testing/until.ts";
import { contacts } from "../contacts/contacts.feature.ts";
import { cleanUp, wake } from "./pass.ts";

export interface Received {
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly url: string;
}

/** A response; undefined: none at all. */
type Answer = { readonly status: number; readonly body?: string; readonly location?: string };

/** @param answer chooses the response; default 200 */
export async function openReceiver(
  answer: (
    received: Received,
    count: number,
  ) => Answer | undefined | Promise<Answer | undefined> = () => ({
    status: 200,
  }),
) {
  const received: Received[] = [];
  const server = createServer(async (request, reply) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const got = { headers: textsOf(request.headers), body, url: request.url ?? "" };
    received.push(got);
    const told = await answer(got, received.length);
    if (!told) return;
    reply.writeHead(told.status, told.location === undefined ? {} : { location: told.location });
    reply.end(told.body ?? "thanks");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // A TCP server's address is an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/hook`, received };
}

const textsOf = (headers: IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));

export const openWebhookPeople = () => openTestPeople({ features: [contacts] });

const atWork = "select from webhook_states where webhook_id = $1 and pass_by is not null";

/** A tenant whose owner sets up webhooks, with the helpers of the tests. */
export async function newHooks(
  people: TestPeople,
  isolation: "pool" | "schema" | "database" = "pool",
) {
  const tenant = await people.newTenant({ isolation });
  const owner = await people.newOwner(tenant);
  const { token } = owner;
  const sql = (text: string, values: readonly unknown[] = []) =>
    people.onTenant(tenant, (db) => db.query(text, values));
  const deliveries = async (id: string) =>
    (await people.get(`/api/v1/webhooks/${id}/deliveries`, { token })).body.items;
  const settled = (id: string) =>
    until("nobody delivers for the webhook", async () => (await sql(atWork, [id])).length === 0);
  return {
    tenant,
    owner,
    /** The caller. */
    as: { token },
    sql,
    deliveries,
    /** Adds a webhook. */
    async add(url: string, more: object = {}) {
      const body = { url, events: ["contact.created"], ...more };
      const { status, body: made, text } = await people.post("/api/v1/webhooks", { token, body });
      if (status !== 201) throw new Error(text);
      return made;
    },
    /** Adds a contact, which publishes an event. */
    async happen(name = "Ada") {
      const { status, body, text } = await people.post("/api/v1/contacts", {
        token,
        body: { name },
      });
      if (status !== 201) throw new Error(text);
      return body;
    },
    /** Waits until the newest delivery matches. */
    async delivery(id: string, wanted: object) {
      const matches = (found: object | undefined) =>
        found && Object.entries(wanted).every(([key, value]) => Reflect.get(found, key) === value);
      let newest: object | undefined;
      return await until(
        () => `the newest delivery is ${JSON.stringify(wanted)}: ${JSON.stringify(newest)}`,
        async () => {
          const [first] = await deliveries(id);
          newest = first;
          return matches(first) && first;
        },
      );
    },
    wake: (id: string) => people.app.withTenant(tenant, ({ jobs }) => wake(jobs, id)),
    cleanUp: () => people.app.withTenant(tenant, ({ jobs }) => jobs.send(cleanUp, {})),
    /** Resolves when no pass is running for it. */
    settled,
    /** Moves time on: makes waiting deliveries due, ends the rest, and wakes the webhook. */
    async pass(id: string) {
      await settled(id);
      await sql("update webhook_states set rests_until = null where webhook_id = $1", [id]);
      await sql(
        "update webhook_deliveries set due_at = now() where state = 'waiting' and webhook_id = $1",
        [id],
      );
      await people.app.withTenant(tenant, ({ jobs }) => wake(jobs, id));
    },
  };
}
