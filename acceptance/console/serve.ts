/**
 * Serves the built console as the server will, in front of a real server: strict
 * Content-Security-Policy, `index.html` or `auth.html` for addresses, everything else passed on.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, resolve } from "node:path";

const dist = resolve(import.meta.dirname, "../../packages/console/dist");

const types: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

const publicPages =
  /^(sign-in|second-factor|register|forgot-password|password-reset|verify-email|invitation|login|start|callback)$/;

const policy = (host: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    `connect-src 'self' ws://${host}`,
    "frame-src 'self'",
    "manifest-src 'self'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");

/** Undefined: there is no such file. */
function fileOf(path: string): string | undefined {
  if (extname(path) === "") return publicPages.test(path) ? "auth.html" : "index.html";
  return existsSync(join(dist, path)) && !path.includes("..") ? path : undefined;
}

function answer(path: string, host: string, response: ServerResponse): void {
  const file = fileOf(path);
  if (file === undefined) {
    response.writeHead(404, { "content-type": "text/plain" }).end("Not found");
    return;
  }
  response.writeHead(200, {
    "content-type": types[extname(file)] ?? "application/octet-stream",
    "content-security-policy": policy(host),
    "cross-origin-opener-policy": "same-origin",
    "cache-control": file.startsWith("assets/") ? "public, max-age=31536000" : "no-cache",
  });
  response.end(readFileSync(join(dist, file)));
}

function passOn(from: IncomingMessage, to: ServerResponse, port: string): void {
  const { method, url: path, headers } = from;
  const upstream = request({ host: "127.0.0.1", port, method, path, headers }, (answered) => {
    to.writeHead(answered.statusCode ?? 502, answered.headers);
    answered.pipe(to);
  });
  upstream.on("error", () => to.destroy());
  from.pipe(upstream);
}

/** Until the server has `GET /auth/context`. */
const context = {
  version: "0.1.0",
  environment: "development",
  tenant: null,
  password_login: true,
  registration: true,
  passkeys: true,
  providers: [],
  captured_mail: true,
  first_sign_in: false,
};

export interface Served {
  /** Without a slash at its end. */
  readonly url: string;
  stop(): void;
}

/** @param serverUrl where the API is */
export async function serveConsole(serverUrl: string): Promise<Served> {
  if (!existsSync(join(dist, "manifest.json"))) {
    execFileSync(process.execPath, [resolve(dist, "../build/build.ts")], { stdio: "inherit" });
  }
  const { port } = new URL(serverUrl);
  const server = createServer((asked, response) => {
    const { pathname } = new URL(asked.url ?? "/", "http://localhost");
    if (pathname === "/api/v1/auth/context") {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(context));
      return;
    }
    if (!/^\/console(\/|$)/.test(pathname)) return passOn(asked, response, port);
    answer(pathname.slice("/console/".length), asked.headers.host ?? "", response);
  });
  await new Promise<void>((listening) => server.listen(0, listening));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`, // it listens
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
