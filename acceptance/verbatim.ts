/**
 * Executes requests exactly as documents print them: command lines in a shell, HTTP blocks
 * unchanged.
 */
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { request } from "node:http";
import type { Client, Reply } from "./client.ts";

/** Replaces the documents' `jq -r '.field'` on machines without `jq`. */
const jq = `command -v jq >/dev/null || jq() {
  node -pe 'JSON.parse(require("fs").readFileSync(0))[process.argv[1].slice(1)]' "$2"
}`;

/**
 * Runs command lines in one shell, so that later ones see variables of earlier ones.
 *
 * @param from the server's URL in the document
 * @returns the output of each
 */
export const shellAt =
  (url: string, from = "http://localhost:8000") =>
  (lines: readonly string[], variables: Readonly<Record<string, string>> = {}): string[] => {
    const script = [jq, ...lines.map((line) => `${line}\necho\necho ==`)].join("\n");
    const output = execFileSync("bash", ["-ec", script.replaceAll(from, url)], {
      encoding: "utf8",
      env: { ...process.env, ...variables },
      stdio: "pipe",
    });
    return output
      .split("==\n")
      .slice(0, -1)
      .map((part) => part.trim());
  };

/**
 * Sends a block such as
 *
 *     POST /tenants
 *     Content-Type: application/json
 *
 *     { "id": "acme_corp" }
 *
 * @param headers additional ones, such as the token that the document mentions
 */
export function sendBlock(
  client: Client,
  block: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const [head = "", ...rest] = block.trim().split("\n\n");
  const [line = "", ...fields] = head.split("\n");
  const [method = "", path = ""] = line.split(" ");
  const given = fields.map((field) => {
    const [name = "", value = ""] = field.split(": ", 2);
    return [name.toLowerCase(), value];
  });
  const body = rest.join("\n\n");
  return client(method, path, {
    headers: { ...Object.fromEntries(given), ...headers },
    ...(body !== "" && { body: JSON.parse(body) }),
  });
}

/** The response to a handshake: its status and body. 101: it was accepted. */
export function handshake(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly text: string }> {
  const asked = request(url.replace("ws:", "http:"), {
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...headers,
    },
  });
  return new Promise((resolve, reject) => {
    asked.once("error", reject);
    asked.once("upgrade", (_response, socket) => {
      socket.destroy();
      resolve({ status: 101, text: "" });
    });
    asked.once("response", async (response) => {
      const parts = await response.toArray();
      resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() });
    });
    asked.end();
  });
}

// biome-ignore lint/suspicious/noExplicitAny: the claims are what the tests are about
export const claimsOf = (token: string): any => partOf(token, 1);

// biome-ignore lint/suspicious/noExplicitAny: as above
export const tokenHeaderOf = (token: string): any => partOf(token, 0);

const partOf = (token: string, at: number) =>
  JSON.parse(Buffer.from(token.split(".")[at] ?? "", "base64url").toString());

/** The token with other claims, signed with the server's secret. */
export function resigned(token: string, secret: string, claims: object): string {
  const [header = ""] = token.split(".");
  const body = Buffer.from(JSON.stringify({ ...claimsOf(token), ...claims })).toString("base64url");
  const signature = createHmac("sha256", secret).update(`${header}.${body}`).digest("base64url");
  return `${header}.${body}.${signature}`;
}
