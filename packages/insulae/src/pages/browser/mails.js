// @ts-check
/**
 * Shows the captured mails, as `GET /api/v1/dev/mails` gives them. A mail is somebody's HTML: it is shown in a
 * frame that runs no scripts and is no page of this origin; its links open beside it.
 */

/** @typedef {{ id: string, to: string, subject: string, text: string, html: string, created_at: string }} Mail */

/** @param {string} selector @returns {HTMLElement} */
const find = (selector) => /** @type {HTMLElement} */ (document.querySelector(selector));

/** @param {string} html */
function withLinksBeside(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const base = parsed.createElement("base");
  base.target = "_blank";
  parsed.head.prepend(base);
  return `<!doctype html>${parsed.documentElement.outerHTML}`;
}

/** @param {Mail} mail */
function showMail(mail) {
  find("#subject").textContent = mail.subject;
  find("#about").textContent = `To ${mail.to}, ${new Date(mail.created_at).toLocaleString()}`;
  find("#text").textContent = mail.text;
  const frame = /** @type {HTMLIFrameElement} */ (find("iframe"));
  frame.srcdoc = withLinksBeside(mail.html);
}

/** @param {Mail} mail */
function rowOf(mail) {
  const row = document.createElement("tr");
  const link = document.createElement("a");
  link.href = `#${mail.id}`;
  link.textContent = mail.subject;
  for (const content of [new Date(mail.created_at).toLocaleTimeString(), mail.to, link]) {
    row.insertCell().append(content);
  }
  return row;
}

async function show() {
  const reply = await fetch("/api/v1/dev/mails", { credentials: "omit" });
  if (!reply.ok) throw new Error((await reply.json()).title);
  /** @type {{ items: Mail[] }} */
  const { items } = await reply.json();
  const mail = items.find(({ id }) => id === location.hash.slice(1));
  find("tbody").replaceChildren(...items.map(rowOf));
  find("#list").hidden = mail !== undefined || items.length === 0;
  find("#none").hidden = items.length > 0;
  find("#mail").hidden = mail === undefined;
  if (mail) showMail(mail);
}

const showOrSay = () =>
  show().catch((/** @type {unknown} */ error) => {
    find("[role=status]").textContent = `The mails can't be read: ${error}`;
  });
addEventListener("hashchange", showOrSay);
showOrSay();
