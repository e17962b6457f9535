/**
 * The API reference: the OpenAPI document, Swagger UI and ReDoc, all served from here and loaded on
 * first use.
 *
 * `imports` in package.json says where the UI's files are: in this repository the packages
 * `swagger-ui-dist` and `redoc`, in the published package a folder of its own. As dependencies,
 * these packages would add telemetry (`@scarf/scarf`), React and 70 MB to each installation, for
 * four files.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from "fastify";
import type { Feature } from "../../feature/feature.ts";
import { escapeHtml } from "../../lib/html.ts";
import { type OpenApiOptions, openApiDocument } from "./openapi.ts";

export interface DocsOptions extends Omit<OpenApiOptions, "title" | "baseUrl"> {
  /** The application's name. Default: Insulae. */
  readonly name?: string | undefined;
  /** Features that have a document of their own. */
  readonly dialects?: ReadonlySet<Feature> | undefined;
  readonly production: boolean;
  readonly baseUrl: () => string;
  /** The hook for requests of one of the paths. @param isPart whether a page loads it */
  readonly onRequest: (path: string, isPart: boolean) => onRequestHookHandler;
}

interface Asset {
  readonly type: string;
  readonly body: () => Promise<Buffer> | Buffer;
}

/**
 * Only scripts of this server. Both UIs insert styles into the page, and ReDoc starts its search
 * worker from a blob.
 */
const docsPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const html = "text/html; charset=utf-8";
const script = "text/javascript; charset=utf-8";
const style = "text/css; charset=utf-8";

const mainPath = "/api-docs/openapi.json";
const dialectsPath = "/api-docs/dialects.json";

/** @returns the paths that it registers, for GET */
export function registerDocs(
  app: FastifyInstance,
  { onRequest, baseUrl, name = "Insulae", dialects, production, ...options }: DocsOptions,
): string[] {
  const documents = documentsOf(options.features, name, dialects);
  const assets: Readonly<Record<string, Asset>> = {
    ...Object.fromEntries(
      documents.map(({ url, about }) => [
        url,
        {
          type: "application/json; charset=utf-8",
          body: () =>
            Buffer.from(
              JSON.stringify(openApiDocument({ ...options, ...about, baseUrl: baseUrl() })),
            ),
        },
      ]),
    ),
    "/swagger-ui": { type: html, body: () => Buffer.from(swaggerPage(name)) },
    "/swagger-ui/start.js": {
      type: script,
      body: () =>
        Buffer.from(
          swaggerStart({
            documents: documents.map(({ url, name }) => ({ url, name })),
            production,
          }),
        ),
    },
    "/swagger-ui/swagger-ui-standalone-preset.js": {
      type: script,
      body: fromPackage("#swagger-ui/swagger-ui-standalone-preset.js"),
    },
    "/swagger-ui/swagger-ui.css": {
      type: style,
      body: fromPackage("#swagger-ui/swagger-ui.css"),
    },
    "/swagger-ui/swagger-ui-bundle.js": {
      type: script,
      body: fromPackage("#swagger-ui/swagger-ui-bundle.js"),
    },
    "/redoc": { type: html, body: () => Buffer.from(redocPage(name)) },
    "/redoc/start.js": { type: script, body: () => Buffer.from(redocStart) },
    "/redoc/redoc.standalone.js": {
      type: script,
      body: fromPackage("#redoc/redoc.standalone.js"),
    },
  };
  for (const [path, asset] of Object.entries(assets)) {
    const isPart = [script, style].includes(asset.type);
    app.get(path, { onRequest: onRequest(path, isPart), handler: assetHandler(asset, baseUrl) });
  }
  return Object.keys(assets);
}

/** The URLs and contents of the document, and of one for dialects if there are any. */
function documentsOf(features: readonly Feature[], title: string, dialects?: ReadonlySet<Feature>) {
  const isDialect = (feature: Feature) => dialects?.has(feature) ?? false;
  const main = {
    url: mainPath,
    name: title,
    about: { features: features.filter((feature) => !isDialect(feature)), title },
  };
  const apart = {
    url: dialectsPath,
    name: "Dialects: other systems' APIs",
    about: {
      features: features.filter(isDialect),
      title: `${title}: dialects`,
      description:
        "Compatible APIs of other systems, on the same data. Each uses that system's error format.",
    },
  };
  return apart.about.features.length > 0 ? [main, apart] : [main];
}

function assetHandler(asset: Asset, baseUrl: () => string) {
  let loading: Promise<{ body: Buffer; etag: string }> | undefined;
  let madeFor = baseUrl();
  const load = async () => {
    const body = await asset.body();
    return {
      body,
      etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`,
    };
  };
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    if (madeFor !== baseUrl()) loading = undefined;
    madeFor = baseUrl();
    loading ??= load();
    const { body, etag } = await loading;
    // Cacheable, but revalidated each time, so that an upgrade shows at once.
    reply.header("cache-control", "public, no-cache").header("etag", etag);
    reply.header("content-security-policy", docsPolicy);
    if (request.headers["if-none-match"] === etag) return reply.code(304).send();
    return reply.type(asset.type).send(body);
  };
}

const fromPackage = (specifier: string) => () => readFile(new URL(import.meta.resolve(specifier)));

const page = (title: string, head: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
${head}
</head>
<body>
${body}
</body>
</html>
`;

const swaggerPage = (name: string): string =>
  page(
    `${name} API: Swagger UI`,
    '<link rel="stylesheet" href="/swagger-ui/swagger-ui.css">',
    `<div id="reference"></div>
<script src="/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/swagger-ui/swagger-ui-standalone-preset.js"></script>
<script src="/swagger-ui/start.js"></script>`,
  );

interface Start {
  readonly documents: readonly { readonly url: string; readonly name: string }[];
  readonly production: boolean;
}

/**
 * Credentials survive a reload in development only. In production, the browser's next user could
 * use them.
 */
const swaggerStart = ({ documents, production }: Start): string => `SwaggerUIBundle({
  urls: ${JSON.stringify(documents)},
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  persistAuthorization: ${!production},
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "StandaloneLayout",
});
`;

const redocPage = (name: string): string =>
  page(
    `${name} API: ReDoc`,
    "",
    `<div id="reference"></div>
<script src="/redoc/redoc.standalone.js"></script>
<script src="/redoc/start.js"></script>`,
  );

const redocStart = `Redoc.init("${mainPath}", {}, document.getElementById("reference"));
`;
