// @ts-check
/**
 * The pages that links in mails lead to. Each is a form that calls the API, and says what came of it. The link's
 * token leaves the address at once, for those who look at the screen and for `Referer`; a reload still has it. By
 * then a browser may have noted the address as visited, and a proxy in its log: the token's short life is for that.
 */

/** @typedef {Record<string, any>} Body */

/** @template {Element} T @param {string} selector @returns {T} */
const find = (selector) => /** @type {T} */ (document.querySelector(selector));
const form = /** @type {HTMLFormElement} */ (find("form"));
const status = /** @type {HTMLElement} */ (find("[role=status]"));

const given = new URLSearchParams(location.search);
/** @type {string} */
const token = given.get("token") ?? history.state?.token ?? "";
if (given.has("token")) {
  given.delete("token");
  history.replaceState({ token }, "", `${location.pathname}${given.size > 0 ? `?${given}` : ""}`);
}
const tenantField = form.querySelector("input[name=tenant]");
if (tenantField instanceof HTMLInputElement) tenantField.value = given.get("tenant") ?? "";

class Refused extends Error {
  /** @param {Body} problem @param {number} seconds */
  constructor(problem, seconds) {
    super(inWords(problem, seconds));
    this.problem = problem;
  }
}

/** What went wrong, to people who know nothing of the API. @param {Body} problem @param {number} seconds */
function inWords({ code, title, errors }, seconds) {
  if (code === "rate_limit_exceeded") return `Too many attempts. Try again in ${seconds} seconds.`;
  if (code === "account_exists") return "You have an account with this e-mail. Reload this page.";
  /** @type {{ pointer: string, message: string }[]} */
  const fields = errors ?? [];
  if (fields.length === 0) {
    const text = title ?? "Something went wrong. Try again later.";
    return text.endsWith(".") ? text : `${text}.`;
  }
  return fields
    .map(({ pointer, message }) => `${pointer.split("/").at(-1)?.replaceAll("_", " ")}: ${message}`)
    .join(". ");
}

/**
 * @param {string} path below `/api/v1` @param {Body} [body] it is posted @param {string} [bearer]
 * @returns {Promise<Body>}
 */
async function call(path, body, bearer) {
  /** @type {Response} */
  let reply;
  try {
    reply = await fetch(`/api/v1${path}`, {
      credentials: "omit",
      ...(body && { method: "POST", body: JSON.stringify(body) }),
      headers: {
        ...(body && { "content-type": "application/json" }),
        ...(bearer && { authorization: `Bearer ${bearer}` }),
      },
    });
  } catch {
    throw new Error("The server can't be reached. Try again.");
  }
  const text = await reply.text();
  /** @type {Body} */
  const answer = text.startsWith("{") ? JSON.parse(text) : {};
  if (!reply.ok) throw new Refused(answer, Number(reply.headers.get("retry-after") ?? 60));
  return answer;
}

/** The fields that are filled in. @returns {Body} */
const fields = () =>
  Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));

/** @param {string} text @param {"good" | "bad"} kind */
function say(text, kind) {
  status.textContent = text;
  status.className = kind;
}

/** @param {string} text */
function done(text) {
  form.hidden = true;
  history.replaceState(null, "");
  say(text, "good");
  for (const next of document.querySelectorAll(".next")) {
    if (next instanceof HTMLElement) next.hidden = false;
  }
}

/** @param {string} name @param {boolean} wanted */
function ask(name, wanted) {
  const input = /** @type {HTMLInputElement} */ (find(`[name=${name}]`));
  const label = /** @type {HTMLElement} */ (input.closest("label"));
  label.hidden = !wanted;
  input.disabled = !wanted;
}

/** @type {Body | undefined} what a log-in that asks for a second factor has answered */
let asked;

/** Asks for a code or a passkey: whoever has a passkey has recovery codes as well. @param {Body} problem */
function askForFactor({ enrolment, methods, ...problem }) {
  if (enrolment) {
    throw new Error("A second factor is asked for, and you have none yet. Set one up by the API.");
  }
  asked = problem;
  for (const name of ["email", "password", "tenant"]) {
    if (form.elements.namedItem(name)) ask(name, false);
  }
  ask("code", true);
  passkeyButton().hidden = !methods.includes("passkey");
  say("Enter the code of your authenticator app, or a recovery code.", "good");
}

const passkeyButton = () => /** @type {HTMLButtonElement} */ (find("button[type=button]"));

/** Logs in, in one step or two; undefined: the second one is to come. @param {Body} person @returns {Promise<Body | undefined>} */
async function logIn({ code = "", passkey, ...person }) {
  if (!asked) {
    try {
      return await call("/auth/login", person);
    } catch (error) {
      if (!(error instanceof Refused && error.problem.code === "second_factor_required"))
        throw error;
      askForFactor(error.problem);
      return undefined;
    }
  }
  const { mfa_token } = asked;
  if (passkey) return call("/auth/second-factor", { mfa_token, passkey });
  const name = /^\s*\d{6}\s*$/.test(code) ? "code" : "recovery_code";
  return call("/auth/second-factor", { mfa_token, [name]: code.trim() });
}

/** What the browser's passkey answers to the challenge. @returns {Promise<Body>} */
async function showPasskey() {
  // Not in TypeScript's DOM yet.
  const { parseRequestOptionsFromJSON: parse } = /** @type {any} */ (PublicKeyCredential);
  const publicKey = parse.call(PublicKeyCredential, asked?.passkey);
  const credential = /** @type {any} */ (await navigator.credentials.get({ publicKey }));
  return { passkey: credential.toJSON() };
}

/** @param {Body} signedIn */
function welcome({ user, tenant, access_token }) {
  done(`You are signed in as ${user.email}${tenant ? ` in ${tenant.name}` : ""}.`);
  const shown = /** @type {HTMLElement} */ (find("#token"));
  shown.textContent = access_token;
}

/** @type {Body} what the invitation says */
let invitation = {};

/** What each page does with its form, and what it does first. @type {Record<string, { begin?: () => Promise<void>, submit: (values: Body) => Promise<void> }>} */
const actions = {
  "verify-email": {
    async submit() {
      await call("/auth/verify-email", { token });
      done("This e-mail is verified. You can sign in.");
    },
  },
  "password-reset": {
    async submit({ password }) {
      await call("/auth/password-reset", { token, password });
      done("Your password is set, and all sign-ins were ended. Sign in with the new one.");
    },
  },
  "forgot-password": {
    async submit(values) {
      await call("/auth/password-reset-request", values);
      done("If this address is registered, a mail with a link is on its way to it.");
    },
  },
  login: {
    async submit(values) {
      const signedIn = await logIn(values);
      if (signedIn) welcome(signedIn);
    },
  },
  invitation: {
    async begin() {
      invitation = await call(`/invitations/preview?${new URLSearchParams({ token })}`);
      const { tenant, email, role, has_account: known } = invitation;
      const text = known ? "Enter your account's password" : "Choose a password for your account";
      const about = /** @type {HTMLElement} */ (find("#about"));
      about.textContent = `${email} is invited to ${tenant.name}, with the role ${role}. ${text}.`;
      ask("first_name", !known);
      ask("last_name", !known);
      const password = /** @type {HTMLInputElement} */ (find("[name=password]"));
      password.autocomplete = known ? "current-password" : "new-password";
    },
    async submit(values) {
      /** @type {string | undefined} */
      let bearer;
      if (invitation.has_account) {
        const signedIn = await logIn({ ...values, email: invitation.email });
        if (!signedIn) return;
        bearer = signedIn.access_token;
      }
      welcome(await call("/invitations/accept", { token, ...(bearer ? {} : values) }, bearer));
    },
  },
};

const action = actions[form.dataset.action ?? ""];
const button = /** @type {HTMLButtonElement} */ (find("form button[type=submit]"));

/** @param {() => Promise<void>} work */
async function attempt(work) {
  button.disabled = true;
  say("", "good");
  try {
    await work();
  } catch (error) {
    say(error instanceof Error ? error.message : String(error), "bad");
  }
  button.disabled = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (action) attempt(() => action.submit(fields()));
});
form.querySelector("button[type=button]")?.addEventListener("click", () => {
  if (action) attempt(async () => action.submit(await showPasskey()));
});
if (form.dataset.link !== undefined && token === "") {
  form.hidden = true;
  say("This link is not complete. Open it from the mail once more.", "bad");
} else if (action?.begin) {
  const { begin } = action;
  form.hidden = true;
  attempt(async () => {
    await begin();
    form.hidden = false;
  });
}
