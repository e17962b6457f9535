/**
 * The page: signs in, shows the contacts of the tenant, and what its log says. What it shows is of one
 * session; when that ends, or another tenant's begins, all of it goes first.
 */
import { ApiError, createClient, inStorage, type Schemas } from "@insulae/client";
import { ask, clear, element, formValues, item } from "./elements.ts";

const client = createClient({ tokens: inStorage(localStorage), onSessionEnd: showSignIn });

function forget(): void {
  clear("contacts", "log", "tenant", "message");
}

function showSignIn(): void {
  forget();
  element("book").hidden = true;
  element("sign-in").hidden = false;
}

async function showBook(): Promise<void> {
  forget();
  const { tenant, permissions = [] } = await client.get("/auth/me");
  element("sign-in").hidden = true;
  element("book").hidden = false;
  element("tenant").textContent = tenant?.name ?? "";
  showTenants(tenant?.key);
  element("watch").hidden = !permissions.includes("logs:read");
  if (permissions.includes("logs:read")) handled(watch());
  for await (const contact of client.each("/contacts")) element("contacts").append(line(contact));
}

/** The tenants of an account, which the server lists at log-in; at a tenant's own host there are none. */
function showTenants(current: string | undefined): void {
  const tenants: Schemas["TenantSummary"][] = JSON.parse(localStorage.getItem("tenants") ?? "[]");
  const select = element("tenants", HTMLSelectElement);
  select.replaceChildren(
    ...tenants.map(({ key, name }) => new Option(name, key, false, key === current)),
  );
  select.hidden = tenants.length < 2;
}

async function enter(tenant: string): Promise<void> {
  await client.post("/auth/switch", { body: { tenant } });
  await showBook();
}

async function signIn(credentials: { email: string; password: string }): Promise<void> {
  const { tenant, tenants = [] } = await client.signIn(credentials);
  localStorage.setItem("tenants", JSON.stringify(tenants));
  const [first] = tenants;
  await (tenant === null && first ? enter(first.key) : showBook());
}

function line(contact: Schemas["Contact"]): HTMLLIElement {
  const { name, email, phone } = contact;
  const made = item(name, email ?? "", phone ?? "");
  const button = document.createElement("button");
  button.textContent = "Delete";
  button.onclick = () => handled(remove(contact, made));
  made.append(button);
  return made;
}

async function remove({ id, name }: Schemas["Contact"], shown: HTMLLIElement): Promise<void> {
  if (!(await ask(`Delete ${name}?`))) return;
  await client.delete("/contacts/{id}", { params: { path: { id } } });
  shown.remove();
}

function watch(): Promise<void> {
  const log = element("log");
  return client.logs(({ timestamp, level, message }) => {
    log.prepend(item(`${timestamp} ${level} ${message}`));
    if (log.children.length > 20) log.lastChild?.remove();
  });
}

/** What goes wrong is shown; what was asked for in a session that is over is nobody's any more. */
function handled(work: Promise<unknown>): void {
  element("message").textContent = "";
  work.catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") return;
    const text = error instanceof ApiError ? error.message : "The server can't be reached";
    element("message").textContent = text;
  });
}

element("sign-in", HTMLFormElement).onsubmit = (event) => {
  event.preventDefault();
  const { email = "", password = "" } = formValues("sign-in");
  handled(signIn({ email, password }));
};

element("add", HTMLFormElement).onsubmit = (event) => {
  event.preventDefault();
  const { name = "", ...details } = formValues("add");
  const add = async () => {
    const contact = await client.post("/contacts", { body: { name, ...details } });
    element("contacts").prepend(line(contact));
    element("add", HTMLFormElement).reset();
  };
  handled(add());
};

element("tenants", HTMLSelectElement).onchange = ({ target }) => {
  if (target instanceof HTMLSelectElement) handled(enter(target.value));
};

element("sign-out").onclick = () => handled(client.signOut().finally(showSignIn));

if (localStorage.getItem("insulae")) handled(showBook());
else showSignIn();
