/**
 * The web console at `/console`: its built files, for GET and HEAD. It stands beside the features, as the API reference
 * does: no entry in the OpenAPI document, no permission, since it shows nothing that its user may not fetch.
 *
 *     a file of the manifest      that file
 *     no extension, takes HTML    the page: `auth.html` where people sign in, else `index.html`, which has the rest
 *     anything else               404 as text, never a page: a script that is gone must not be read as HTML
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from "fastify";
import { notFound } from "../../lib/http-errors.ts";
import type { MaybePromise } from "../../lib/maybe-promise.ts";
import { badHostHeader, canonicalHost } from "../../net/hostname.ts";
import { type ConsoleFile, encodingFor, type FindConsoleFile, isKnown } from "./console-files.ts";

export interface ConsoleOptions {
  readonly find: FindConsoleFile;
  /** Where browsers find it: the path of PUBLIC_URL and `/console/`. */
  readonly path: string;
  /** Elsewhere there is nothing at these addresses. */
  readonly isServedAt: (host: string) => MaybePromise<boolean>;
  /** Whether `/` leads to it. */
  readonly isHome: boolean;
}

/** @param onRequest what a request goes through first @returns the paths without a wildcard */
export function registerConsole(
  app: FastifyInstance,
  { find, path, isServedAt, isHome }: ConsoleOptions,
  onRequest: (path: string) => onRequestHookHandler,
): readonly string[] {
  const preHandler = async ({ host }: FastifyRequest) => {
    canonicalHost(host, badHostHeader);
    if (!(await isServedAt(host))) throw notFound();
  };
  const handler = (request: FastifyRequest, reply: FastifyReply) => answer(request, reply, find);
  for (const url of ["/console", "/console/*"]) {
    app.get(url, { onRequest: onRequest(url), preHandler, handler });
  }
  if (!isHome) return ["/console"];
  app.get("/", {
    onRequest: onRequest("/"),
    preHandler,
    handler: (_request, reply) => reply.redirect(path, 302),
  });
  return ["/console", "/"];
}

/** What is below `/console/`: a file's name, or where a page is. */
export const pathIn = ({ params }: FastifyRequest): string => Object(params)["*"] ?? "";

/** The same, without a slash at its end. */
const nameIn = (request: FastifyRequest): string => pathIn(request).replace(/\/$/, "");

/** Where people are not signed in yet: a small program, without the rest of the console. */
export const signInPages: ReadonlySet<string> = new Set([
  ...["sign-in", "second-factor", "register", "forgot-password", "password-reset"],
  ...["verify-email", "invitation", "login", "start", "callback"],
]);

function answer(request: FastifyRequest, reply: FastifyReply, find: FindConsoleFile): FastifyReply {
  const name = nameIn(request);
  // With a slash behind it, a file's name is nothing.
  const file = find(pathIn(request));
  if (file) return send(request, reply, file);
  if (!isForPage(request, name)) {
    return reply.code(404).type("text/plain; charset=utf-8").send("There is no such file.\n");
  }
  const page = find(signInPages.has(name) ? "auth.html" : "index.html");
  return page ? send(request, reply, page) : reply.code(503).type(html).send(beingBuilt);
}

function isForPage({ headers }: FastifyRequest, name: string): boolean {
  const isFile = /^assets(\/|$)|\.[a-z0-9]+$/i.test(name);
  return !isFile && /text\/html|\*\/\*/.test(headers.accept ?? "*/*");
}

function send(request: FastifyRequest, reply: FastifyReply, file: ConsoleFile): FastifyReply {
  const encoding = encodingFor(request.headers["accept-encoding"]?.toString(), file.encodings);
  const etag = file.etag(encoding);
  reply
    .header("cache-control", file.immutable ? "public, max-age=31536000, immutable" : "no-cache")
    .header("vary", "accept-encoding")
    .header("etag", etag);
  // With a 304 too: what it has replaces what the browser has kept.
  if (file.isPage) reply.headers(pageHeaders(request));
  if (isKnown(request.headers["if-none-match"], etag)) return reply.code(304).send();
  if (encoding !== "identity") reply.header("content-encoding", encoding);
  return reply.type(file.type).send(file.body(encoding));
}

function pageHeaders(request: FastifyRequest): Record<string, string> {
  const query: object = Object(request.query);
  // The sign-in page in a frame of the settings that change it; it takes no input there.
  const isPreview = "preview" in query && signInPages.has(nameIn(request));
  return {
    "content-security-policy": pagePolicy(socketsOf(request), isPreview ? "'self'" : "'none'"),
    // To be enforced once nothing in it is reported.
    "content-security-policy-report-only": "require-trusted-types-for 'script'",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
  };
}

/** No script or style but the server's own files: the console writes its styles without `<style>`. */
const pagePolicy = (sockets: string, frames: "'none'" | "'self'"): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    `connect-src 'self' ${sockets}`,
    "frame-src 'self'",
    "manifest-src 'self'",
    "base-uri 'self'",
    "form-action 'self'",
    `frame-ancestors ${frames}`,
  ].join("; ");

/** Safari does not count WebSockets of the same host as `'self'`. A proxy may pass on any text as the scheme. */
const socketsOf = ({ protocol, host }: FastifyRequest): string => {
  const [http, ws] = protocol === "https" ? ["https", "wss"] : ["http", "ws"];
  return `${ws}://${new URL(`${http}://${host}`).host}`;
};

const html = "text/html; charset=utf-8";

/** It reloads itself, without a script. */
const beingBuilt = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="2">
<title>The console is being built</title>
</head>
<body>
<h1>The console is being built</h1>
<p>This happens at the first start and after a change of its sources. It takes about ten seconds; then this page
becomes the console.</p>
<p>If it stays, the server's log says why.</p>
</body>
</html>
`;
