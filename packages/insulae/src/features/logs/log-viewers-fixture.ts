/** Viewers of the log stream, for tests of who may watch and for how long. */
import { once } from "node:events";
import { onTestFinished } from "vitest";
import { WebSocket as Client } from "ws";
import type { App } from "../../app/app-api.ts";
import { until } from "../../testing/until.ts";

export interface Handshake {
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: string;
  /** Default: the usual port. */
  readonly port?: number;
  readonly path?: string;
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** @param usual the port of the server that a test uses by default */
export const viewersAt = (usual: () => number) => ({
  watch: (handshake: Handshake) => watchAt(usual(), handshake),
  refusal: (handshake: Handshake) => refusalAt(usual(), handshake),
});

const open = (
  usual: number,
  { headers = {}, query = "", path = "/api/ws/logs", port = usual }: Handshake,
): Client => new Client(`ws://localhost:${port}${path}${query}`, { headers });

/** A viewer that was admitted. */
async function watchAt(usual: number, handshake: Handshake) {
  const client = open(usual, handshake);
  const lines: string[] = [];
  client.on("message", (data) => lines.push(String(data)));
  const ended = once(client, "close").then(([code, reason]) => `${code} ${reason}`);
  await once(client, "open");
  onTestFinished(() => client.terminate());
  return {
    client,
    lines,
    ended,
    /** The first line with the text, once it is there. */
    line: (text: string): Promise<string> =>
      until(`a line says ${text}`, () => lines.find((line) => line.includes(text))),
  };
}

/** The response to a handshake that was refused. */
async function refusalAt(usual: number, handshake: Handshake) {
  const client = open(usual, handshake);
  client.on("error", () => {});
  client.on("open", () => client.emit("unexpected-response", undefined, { statusCode: 101 }));
  onTestFinished(() => client.terminate());
  const [, response] = await once(client, "unexpected-response");
  if (response.statusCode === 101) return "let in";
  let body = "";
  for await (const chunk of response) body += chunk;
  return `${response.statusCode} ${JSON.parse(body).code}`;
}

/** Serves an app on a free port. */
export const listenWith = async (app: App): Promise<number> =>
  Number(new URL(await app.listen({ port: 0 })).port);
