import { createApp } from "insulae";
import { admin } from "./admin.feature.ts";
import { settings } from "./settings.ts";
import { site } from "./site.feature.ts";

const app = await createApp({ name: "Host routing", features: [site, admin], settings });

// Registered once, they are there after a restart, too, and on every node.
const tenants = { "tenant-acme": "acme.example.com", "tenant-globex": "globex.example.com" };
for (const [key, host] of Object.entries(tenants)) {
  if (!(await app.hosts.find(host))) await app.hosts.register(host, { tenant: key });
  if (await app.tenants.find(key)) continue;
  await app.tenants.register(key, { hosts: [host], isolation: "schema" });
}

await app.run();
