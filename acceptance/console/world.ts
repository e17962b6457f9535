/** Two tenants that look used, made through the API: for pictures of the console. */
import type { Ask } from "./people.ts";
import { actIn, asAdministrator, makeTenant } from "./people.ts";

const people = [
  ["Grace", "Hopper", "admin", "Navy"],
  ["Katherine", "Johnson", "manager", "Langley Research"],
  ["Alan", "Turing", "user", "National Physical Laboratory"],
  ["Barbara", "Liskov", "viewer", "Institute of Technology"],
  ["Edsger", "Dijkstra", "user", "Mathematical Centre"],
] as const;

const goods = [
  ["Desk, oak, 160 × 80 cm", "429.00", "DSK-OAK-160"],
  ["Chair with armrests", "189.50", "CHR-ARM"],
  ["Lamp, brass", "74.90", "LMP-BRS"],
  ["Shelf, five boards", "119.00", "SHF-5"],
] as const;

/** `acme` in the pool and `globex` in a database of its own. */
export async function makeWorld(url: string): Promise<void> {
  const acme = await makeTenant(url, { key: "acme", name: "Acme Furniture" });
  await makeTenant(url, { key: "globex", name: "Globex Corporation", isolation: "database" });
  await makeTenant(url, { key: "initech", name: "Initech GmbH", isolation: "schema" });
  const admin = await asAdministrator(url);
  await admin("POST", "/tenants/initech/suspend", {});
  await fillTenant(acme);
  await acme("POST", "/email-domains", { domain: "acme.example", role: "user" });
  await fillTenant(await actIn(url, "globex"));
}

async function fillTenant(owner: Ask): Promise<void> {
  await owner("POST", "/webhooks", {
    url: "http://localhost:4000/hooks",
    events: ["contact.created", "order.created"],
    description: "The warehouse",
  });
  const users: string[] = [];
  for (const [first_name, last_name, role, company] of people) {
    const email = `${first_name}@${company.split(" ")[0]}.example`.toLowerCase();
    const user = { email, first_name, last_name, role, password: "a-Fine-passphrase-7" };
    users.push((await owner("POST", "/users", user)).id);
    const contact = { name: `${first_name} ${last_name}`, email, company, phone: "+49 30 901820" };
    await owner("POST", "/contacts", contact);
  }
  const products: string[] = [];
  for (const [name, price, sku] of goods) {
    products.push((await owner("POST", "/products", { name, price, sku })).id);
  }
  for (const [at, product_id] of products.entries()) {
    const lines = [{ product_id, quantity: at + 1 }];
    await owner("POST", "/orders", { user_id: users[at], lines });
  }
  await owner("POST", "/documents", {
    title: "How we deliver",
    content: "Desks go by lorry on Tuesdays, all else by post within two days.",
  });
  await owner("POST", "/roles", {
    name: "warehouse",
    description: "Sees orders and changes their status",
    permissions: ["orders:read", "orders:write", "products:read"],
  });
  await owner("POST", "/api-keys", {
    name: "Nightly import",
    scopes: ["contacts:read", "contacts:write"],
  });
  await owner("POST", "/invitations", { email: "radia@perlman.example", role: "manager" });
  await owner("POST", "/notifications/templates", {
    name: "order_shipped",
    type: "email",
    subject: "Your order {{ number }} is on its way",
    body: "Hello {{ name }}, your order {{ number }} left us today.",
    variables: { number: { example: 1042 }, name: { example: "Ada" } },
  });
  await owner("POST", "/notifications/suppressions", {
    type: "email",
    recipient: "nobody@example.org",
    reason: "bounced",
  });
}
