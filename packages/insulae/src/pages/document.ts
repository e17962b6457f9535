import { readFileSync } from "node:fs";
import { type Page, pagePolicy } from "../kernel/http/server/html-pages.ts";
import { type Html, html } from "../kernel/lib/html.ts";

const read = (name: string): string =>
  readFileSync(new URL(`./browser/${name}`, import.meta.url), "utf8");

export interface Document {
  readonly title: string;
  /** The file name of its script in `browser/`. */
  readonly script: string;
  readonly body: (origin: string) => Html;
  /** Additions to the strictest content security policy. */
  readonly policy?: readonly string[];
}

/** A complete page with its script and the shared style inline. */
export function pageOf({ title, script: name, body, policy = [] }: Document): Page {
  const script = read(name);
  const style = read("page.css");
  const head = html`<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">`;
  return {
    // Script and style can't close their elements early (pages.test.ts).
    html: (origin) => `<!doctype html>
<html lang="en">
<head>
${head.text}
<style>${style}</style>
</head>
<body>
${body(origin).text}
<script type="module">${script}</script>
</body>
</html>
`,
    policy: pagePolicy({ script, style }, "img-src data:", ...policy),
  };
}
