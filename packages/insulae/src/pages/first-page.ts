/** The start page of a development server: what runs, and what to try. */

import type { Page } from "../kernel/http/server/html-pages.ts";
import { type Html, html } from "../kernel/lib/html.ts";
import { pageOf } from "./document.ts";

export interface FirstPage {
  readonly name: string;
  readonly version: string;
  readonly environment: string;
  /** Whether the server runs the embedded PostgreSQL. */
  readonly embedded: boolean;
  readonly since: Date;
  /** Whether e-mails are captured. */
  readonly mails: boolean;
  /** Whether `/metrics` requires METRICS_TOKEN. */
  readonly metricsToken: boolean;
}

export const firstPage = (about: FirstPage): Page =>
  pageOf({
    title: about.name,
    script: "first.js",
    body: (origin) => html`<main>
<h1>${about.name}</h1>
<p class="quiet">This server answers an API. It has this page in development only.</p>
<dl>
<dt>Version</dt><dd>Insulae ${about.version}</dd>
<dt>Environment</dt><dd>${about.environment}</dd>
<dt>Database</dt><dd>${about.embedded ? "PostgreSQL, embedded" : "PostgreSQL (DATABASE_URL)"}</dd>
<dt>Since</dt><dd><time datetime="${about.since.toISOString()}">${about.since.toUTCString()}</time></dd>
</dl>
<h2>Try it</h2>
<p>In a terminal, in this order:</p>
<ol>
${stepsAt(origin).map(
  ({ title, commands }) => html`<li>${title}
<div class="copy"><pre tabindex="0">${commands}</pre><button type="button">Copy</button></div></li>
`,
)}
</ol>
<h2>Look around</h2>
<ul>
${linksOf(about)}
</ul>
</main>`,
  });

const json = " \\\n  -H 'content-type: application/json'";
const person = `"email":"owner@example.com","password":"correct-horse-battery"`;
const takeToken = `sed -E 's/.*"access_token":"([^"]+)".*/\\1/'`;

/** The steps can be repeated: what exists is refused, and the next step works. */
const stepsAt = (origin: string) => {
  const post = (path: string, body: string, more = "") =>
    `curl -s -w '\\n' ${origin}/api/v1${path}${more}${json} \\\n  -d '{${body}}'`;
  return [
    {
      title: "Register an account, which will own a tenant:",
      commands: post("/auth/register", person),
    },
    {
      title: "Log in and keep the token:",
      commands: `ACCOUNT=$(${post("/auth/login", `${person},\n      "tenant":null`)} |\n  ${takeToken})`,
    },
    {
      title: "Create a tenant:",
      commands: post(
        "/tenants",
        `"key":"first","name":"First"`,
        ` \\\n  -H "authorization: Bearer $ACCOUNT"`,
      ),
    },
    {
      title: "Get a token for that tenant:",
      commands: `OWNER=$(${post("/auth/login", `${person},\n      "tenant":"first"`)} |\n  ${takeToken})`,
    },
    {
      title: "Read the tenant's data, which nobody else can see:",
      commands: `curl -s -w '\\n' ${origin}/api/v1/users \\\n  -H "authorization: Bearer $OWNER"`,
    },
  ];
};

const linksOf = ({ mails, metricsToken }: FirstPage): readonly Html[] => [
  link("/swagger-ui", "Swagger UI", "all requests, to read and try"),
  link("/redoc", "ReDoc", "the same, for reading"),
  link("/api-docs/openapi.json", "OpenAPI document", "the same, for programs"),
  ...(mails ? [link("/dev/mails", "Captured mails", "e-mails that would have been sent")] : []),
  link("/health/ready", "Health", "the server and its dependencies"),
  link(
    "/metrics",
    "Metrics",
    metricsToken ? "for Prometheus, with METRICS_TOKEN" : "for Prometheus",
  ),
];

const link = (path: string, name: string, about: string): Html =>
  html`<li><a href="${path}">${name}</a>: ${about}</li>
`;
