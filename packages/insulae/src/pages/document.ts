import { readFileSync } from "node:fs";
import { type Page, pagePolicy } from "../kernel/http/server/html-pages.ts";
import { type Html, html } from "../kernel/lib/html.ts";

const read = (name: string): string =>
  readFileSync(new URL(`./browser/${name}`, import.meta.url), "utf8");

export interface Document {
  readonly title: string;
  /** The name of its script, in `browser/`. */
  readonly script: string;
  readonly body: (origin: string) => Html;
  /** Directives of its policy besides the strictest. */
  readonly policy?: readonly string[];
}

/** A whole page, with its script and the style that all pages share in it. */
export function pageOf({ title, script: name, body, policy = [] }: Document): Page {
  const script = read(name);
  const style = read("page.css");
  const head = html`<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">`;
  return {
    // What the two have in them ends no element of theirs (pages.test.ts).
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
