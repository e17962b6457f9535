/**
 * The pages behind links in e-mails, used until APP_URL names a front end. Each is a form that
 * calls the API (`browser/forms.js`). They are the same for everybody; the token stays in the
 * browser.
 */

import type { Page } from "../kernel/http/server/html-pages.ts";
import { type Html, html } from "../kernel/lib/html.ts";
import { pageOf } from "./document.ts";

interface Action {
  readonly title: string;
  readonly about: string;
  readonly fields: Html;
  readonly button: string;
  /** Whether it needs the token of a link. */
  readonly byLink: boolean;
  /** Shown once it is done. */
  readonly next: Html;
}

const email = html`<label>E-mail <input name="email" type="email" autocomplete="username" required></label>`;
const tenant = html`<label>Tenant (optional) <input name="tenant" autocomplete="organization" autocapitalize="none" maxlength="63"></label>`;
const code = html`<label hidden>Code <input name="code" autocomplete="one-time-code" required disabled></label>
<button type="button" hidden>Use a passkey</button>`;
const password = (autocomplete: "current-password" | "new-password", label: string): Html =>
  html`<label>${label} <input name="password" type="password" autocomplete="${autocomplete}" required></label>`;
const nameField = (name: string, autocomplete: string, label: string): Html =>
  html`<label>${label} <input name="${name}" autocomplete="${autocomplete}"></label>`;

const signInNext = html`<p class="next" hidden><a href="/login">Sign in</a></p>`;
const tokenNext = html`<div class="next" hidden>
<p>With this token the API knows you for a few minutes. Keep it to yourself:</p>
<pre id="token" tabindex="0"></pre>
</div>`;

const actions: Readonly<Record<string, Action>> = {
  "verify-email": {
    title: "Verify your e-mail",
    about: "Confirm that this address is yours.",
    fields: html``,
    button: "Verify",
    byLink: true,
    next: signInNext,
  },
  "password-reset": {
    title: "Set a new password",
    about: "This signs you out on all devices.",
    fields: password("new-password", "New password"),
    button: "Set",
    byLink: true,
    next: signInNext,
  },
  "forgot-password": {
    title: "Forgotten password",
    about: "We will e-mail you a link to choose a new one.",
    fields: html`${email}${tenant}`,
    button: "Send the e-mail",
    byLink: false,
    next: html``,
  },
  login: {
    title: "Sign in",
    about: "",
    fields: html`${email}${password("current-password", "Password")}${tenant}${code}`,
    button: "Sign in",
    byLink: false,
    next: html`<p><a href="/forgot-password">Forgotten password?</a></p>${tokenNext}`,
  },
  invitation: {
    title: "Invitation",
    about: "",
    fields: html`${password("new-password", "Password")}${nameField("first_name", "given-name", "First name (optional)")}${nameField("last_name", "family-name", "Last name (optional)")}${code}`,
    button: "Accept",
    byLink: true,
    next: tokenNext,
  },
};

const pageFor = (name: string, action: string, shown: Action): Page =>
  pageOf({
    title: `${shown.title}: ${name}`,
    script: "forms.js",
    policy: ["connect-src 'self'"],
    body: () => html`<main class="form">
<p class="quiet">${name}</p>
<h1>${shown.title}</h1>
<p id="about">${shown.about}</p>
<noscript>This page needs JavaScript.</noscript>
<form data-action="${action}"${shown.byLink ? html` data-link` : html``}>
${shown.fields}
<button type="submit">${shown.button}</button>
</form>
<p role="status"></p>
${shown.next}
</main>`,
  });

/**
 * The pages by the paths that e-mails use (`link("/login")`). @param name the application's name
 */
export const actionPages = (name: string): Readonly<Record<string, Page>> =>
  Object.fromEntries(
    Object.entries(actions).map(([action, shown]) => [`/${action}`, pageFor(name, action, shown)]),
  );
