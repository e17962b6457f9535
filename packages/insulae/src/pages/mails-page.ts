import type { Page } from "../kernel/http/server/html-pages.ts";
import { html } from "../kernel/lib/html.ts";
import { pageOf } from "./document.ts";

/**
 * Shows the captured e-mails. Everybody who can reach the server can read them, so it is for
 * development only.
 */
export const mailsPage = (name: string): Page =>
  pageOf({
    title: `${name}: captured mails`,
    script: "mails.js",
    policy: [
      "connect-src 'self'",
      // The iframe of an e-mail inherits this policy, and e-mails use inline styles.
      "style-src-attr 'unsafe-inline'",
    ],
    body: () => html`<main>
<h1>Captured mails</h1>
<p class="quiet">They were not sent. The newest 200 are kept.</p>
<noscript>This page needs JavaScript; GET /api/v1/dev/mails has the same.</noscript>
<p role="status" class="bad"></p>
<p id="none" hidden>There is no mail yet.</p>
<table id="list" hidden>
<thead><tr><th scope="col">At</th><th scope="col">To</th><th scope="col">Subject</th></tr></thead>
<tbody></tbody>
</table>
<article id="mail" hidden>
<p><a href="#">All mails</a></p>
<h2 id="subject"></h2>
<p id="about" class="quiet"></p>
<iframe title="The mail" sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>
<h2>As text</h2>
<pre id="text" tabindex="0"></pre>
</article>
</main>`,
  });
