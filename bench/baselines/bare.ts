/**
 * What a good engineer writes in a day: Node's `http`, lanes to PostgreSQL, a cache of verified
 * tokens, and Insulae's SQL, whose JSON is forwarded. No limits, no log, and no validation except
 * PostgreSQL's. The difference is what Insulae adds to a request.
 */
import { createSecretKey } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import jwt from "jsonwebtoken";
import { type Command, openLane, type Row } from "./bare-lane.ts";
import { insulaeSettings, insulaeStatements } from "./statements.ts";

const lanes = await Promise.all(
  Array.from({ length: Number(process.env.POOL_SIZE) }, () =>
    openLane(
      { connectionString: process.env.DATABASE_URL, options: insulaeSettings },
      insulaeStatements,
    ),
  ),
);

function run(...commands: readonly Command[]): Promise<Row | undefined> {
  return lanes.reduce((a, b) => (b.inFlight < a.inFlight ? b : a)).run(commands);
}

const secret = createSecretKey(process.env.JWT_SECRET ?? "", "utf8");

interface Claims {
  readonly tenant_id: string;
  /** In seconds. */
  readonly exp: number;
}

const verified = new Map<string, Claims>();

/** @throws Error if the token is invalid */
function tenantOf(authorization: string | undefined): string {
  const token = authorization?.slice("Bearer ".length) ?? "";
  let claims = verified.get(token);
  if (claims === undefined || claims.exp * 1000 <= Date.now()) {
    claims = jwt.verify(token, secret, { algorithms: ["HS256"] }) as Claims;
    if (verified.size > 10_000) verified.clear();
    verified.set(token, claims);
  }
  return claims.tenant_id;
}

interface Answer {
  readonly status: number;
  readonly json: string;
}

const problem = (status: number, title: string): Answer => ({
  status,
  json: JSON.stringify({ title }),
});
const notFound = problem(404, "Not found");

const path = "/contacts";

function answer(request: IncomingMessage, tenantId: string): Promise<Answer> | Answer {
  const { method, url = "" } = request;
  if (method === "POST" && url === path) return insert(tenantId, request);
  if (method !== "GET") return notFound;
  if (url.startsWith(`${path}/`)) return one(tenantId, url.slice(path.length + 1));
  if (url === path) return list(tenantId, 25);
  if (!url.startsWith(`${path}?`)) return notFound;
  return list(tenantId, Number(new URLSearchParams(url.slice(path.length)).get("limit") ?? 25));
}

async function list(tenantId: string, limit: number): Promise<Answer> {
  const row = await run(["read_scope", [tenantId]], ["list", [String(limit + 1)]]);
  const [rows, count, pieces] = row ?? [];
  return { status: 200, json: pageOf(rows ?? "", Number(count), Number(pieces), limit) };
}

const separator = ",\n";
const mostPieces = 512;

/** Cuts off the extra row that reveals a next page. */
function pageOf(rows: string, count: number, pieces: number, limit: number): string {
  const items = count > limit ? rows.slice(0, rows.lastIndexOf(separator)) : rows;
  let next = "null";
  if (count > limit || pieces >= mostPieces) {
    const at = items.lastIndexOf(separator);
    const last = JSON.parse(at < 0 ? items : items.slice(at + separator.length));
    next = `"${Buffer.from(last.id).toString("base64url")}"`;
  }
  return `{"items":[${items}],"next_cursor":${next}}`;
}

async function one(tenantId: string, id: string): Promise<Answer> {
  const row = await run(["read_scope", [tenantId]], ["one", [id]]);
  return row?.[0] ? { status: 200, json: row[0] } : notFound;
}

const quotas = '{"plan":"free"}';

async function insert(tenantId: string, request: IncomingMessage): Promise<Answer> {
  const { name, email, phone, company, notes } = JSON.parse(await text(request));
  const values = [name, email ?? null, phone ?? null, company ?? null, notes ?? null];
  const row = await run(["write_scope", [tenantId, quotas]], ["insert_one", values]);
  return { status: 201, json: row?.[0] ?? "null" };
}

createServer(async (request, response) => {
  let given: Answer;
  try {
    const tenantId = tenantOf(request.headers.authorization);
    given = await answer(request, tenantId);
  } catch (error) {
    given =
      error instanceof jwt.JsonWebTokenError
        ? problem(401, "Unauthorized")
        : problem(500, "Internal Server Error");
  }
  response.writeHead(given.status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(given.json),
  });
  response.end(given.json);
}).listen(Number(process.env.PORT), "127.0.0.1");
