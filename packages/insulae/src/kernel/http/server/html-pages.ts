/**
 * The server's own HTML pages. Their scripts and styles are inline and named in the page's policy
 * by their hashes, so nothing else runs and nothing loads from elsewhere.
 */
import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from "fastify";
import { notFound } from "../../lib/http-errors.ts";
import type { MaybePromise } from "../../lib/maybe-promise.ts";

export interface Page {
  /** The whole document. @param origin the browser's, such as `http://localhost:8000` */
  readonly html: (origin: string) => string;
  /** Its Content-Security-Policy; see `pagePolicy`. */
  readonly policy: string;
}

export interface PagesOptions {
  /** By path. */
  readonly pages: Readonly<Record<string, Page>>;
  /** On other hosts these addresses are 404. */
  readonly isPlatformHost: (host: string) => MaybePromise<boolean>;
}

/** Registers the pages for GET. @param onRequest the hook for requests of a path */
export function registerPages(
  app: FastifyInstance,
  { pages, isPlatformHost }: PagesOptions,
  onRequest: (path: string) => onRequestHookHandler,
): void {
  for (const [path, page] of Object.entries(pages)) {
    app.get(path, {
      onRequest: onRequest(path),
      preHandler: async (request) => {
        if (!(await isPlatformHost(request.host))) throw notFound();
      },
      // `no-store` and `no-referrer` are headers of every response.
      handler: (request, reply) =>
        reply
          .header("content-security-policy", page.policy)
          .type("text/html; charset=utf-8")
          .send(page.html(new URL(`${schemeOf(request)}://${request.host}`).origin)),
    });
  }
}

/** A proxy may forward any text as the scheme. */
const schemeOf = ({ protocol }: FastifyRequest): string =>
  protocol === "https" ? "https" : "http";

/** @param more directives besides the strictest, such as `connect-src 'self'` */
export const pagePolicy = (
  { script, style }: { readonly script: string; readonly style: string },
  ...more: readonly string[]
): string =>
  [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    ...more,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");

const hashOf = (text: string): string =>
  `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
