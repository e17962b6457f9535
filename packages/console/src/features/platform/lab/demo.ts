/** The two tenants of the lab, and what is tried with them. They have these keys and no others. */
import { ApiError, type Client, type Schemas } from "@insulae/client";

export const acme = "demo-acme";
export const globex = "demo-globex";

const people: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  [acme]: [
    ["Grace Hopper", "grace@acme.example"],
    ["Ada Lovelace", "ada@acme.example"],
    ["Mary Kenneth Keller", "mary@acme.example"],
    ["Jean Bartik", "jean@acme.example"],
    ["Hedy Lamarr", "hedy@acme.example"],
  ],
  [globex]: [
    ["Alan Turing", "alan@globex.example"],
    ["Kurt Gödel", "kurt@globex.example"],
    ["Emmy Noether", "emmy@globex.example"],
  ],
};

interface Demo {
  readonly acme: Schemas["Tenant"];
  readonly globex: Schemas["Tenant"];
}

/** Null if the two are not there: nobody asks for one of them by its key, which would be refused. */
export async function findDemo(platform: Client, signal: AbortSignal): Promise<Demo | null> {
  const query = { q: "demo-", status: "active", limit: 50 } as const;
  const { items } = await platform.get("/tenants", { params: { query }, signal });
  const [one, other] = [acme, globex].map((key) => items.find((tenant) => tenant.key === key));
  return one && other ? { acme: one, globex: other } : null;
}

export async function makeDemo(
  platform: Client,
  clientOf: (tenant: string) => Client,
): Promise<void> {
  const tenants = [
    { key: acme, name: "Demo Acme", isolation: "pool" },
    { key: globex, name: "Demo Globex", isolation: "database" },
  ] as const;
  await Promise.all(
    tenants.map(async (body) => {
      await platform.post("/tenants", { body });
      for (const [name, email] of people[body.key] ?? []) {
        await clientOf(body.key).post("/contacts", { body: { name, email } });
      }
    }),
  );
}

export const removeDemo = (platform: Client): Promise<unknown> =>
  Promise.all(
    [acme, globex].map((id) => platform.delete("/tenants/{id}", { params: { path: { id } } })),
  );

/** What an attempt came to. */
export interface Outcome {
  readonly passed: boolean;
  readonly lines: readonly string[];
  /** What PostgreSQL was asked, and what it answered. */
  readonly statements?: readonly Schemas["IsolationProbe"][];
  readonly policies?: readonly Schemas["IsolationPolicy"][];
}

interface Sides {
  readonly acme: Client;
  readonly globex: Client;
}

/** An answer as it stands in the report: its status, and the error's code. */
async function answerOf(call: Promise<unknown>): Promise<{
  readonly status: number;
  readonly code: string;
  /** The error as it was sent, without the id of the request. */
  readonly text: string;
}> {
  try {
    await call;
    return { status: 200, code: "", text: "" };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { request_id: _, ...problem } = error.problem;
    return { status: error.status, code: error.code, text: JSON.stringify(problem) };
  }
}

const firstOf = async (client: Client): Promise<Schemas["Contact"]> => {
  const { items } = await client.get("/contacts", { params: { query: { limit: 1 } } });
  const [first] = items;
  if (!first) throw new Error("this tenant has no contact");
  return first;
};

export async function readAnothers(
  sides: Sides,
  t: { identical: string; different: string },
): Promise<Outcome> {
  const { id } = await firstOf(sides.acme);
  const read = (of: string) =>
    answerOf(sides.globex.get("/contacts/{id}", { params: { path: { id: of } } }));
  const [real, unknown] = [await read(id), await read(crypto.randomUUID())];
  const same = real.text === unknown.text;
  return {
    passed: real.status === 404 && same,
    lines: [`${real.status} ${real.code}`, same ? t.identical : t.different],
  };
}

export async function borrowToken(sides: Sides): Promise<Outcome> {
  const { status, code } = await answerOf(
    sides.acme.get("/contacts", { headers: { "X-Tenant": globex } }),
  );
  return {
    passed: status === 403 && code === "tenant_access_denied",
    lines: [`${status} ${code}`],
  };
}

export async function changeAnothers(sides: Sides): Promise<Outcome> {
  const before = await firstOf(sides.acme);
  const params = { path: { id: before.id } };
  const change = await answerOf(
    sides.globex.patch("/contacts/{id}", { params, body: { name: "Mallory" } }),
  );
  const erase = await answerOf(sides.globex.delete("/contacts/{id}", { params }));
  const after = await sides.acme.get("/contacts/{id}", { params });
  const untouched = JSON.stringify(before) === JSON.stringify(after);
  return {
    passed: change.status === 404 && erase.status === 404 && untouched,
    lines: [`PATCH ${change.status} ${change.code}`, `DELETE ${erase.status} ${erase.code}`],
  };
}

export async function sameSku(sides: Sides): Promise<Outcome> {
  const sku = `LAB-${Date.now().toString(36).toUpperCase()}`;
  const body = { sku, name: "Lab", price: "1.00" };
  const made = await Promise.all([
    answerOf(sides.acme.post("/products", { body: body as never })),
    answerOf(sides.globex.post("/products", { body: body as never })),
  ]);
  const again = await answerOf(sides.acme.post("/products", { body: body as never }));
  return {
    passed: made.every(({ status }) => status === 200) && again.status === 409,
    lines: [
      ...made.map(({ status, code }, at) => `${at === 0 ? acme : globex}: ${code || status}`),
      `→ ${again.status} ${again.code}`,
    ],
  };
}
