import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { loadMigrations } from "./src/kernel/database/migration-files.ts";
import { connectDirectly, withOwner } from "./src/kernel/database/connect.ts";
import { createSecrets } from "./src/kernel/secrets.ts";
import { bootMainServer } from "./src/kernel/tenancy/prepare.ts";
import { createServers } from "./src/kernel/tenancy/servers.ts";
import { createProvisioning } from "./src/kernel/tenancy/provisioning.ts";
import { migrateAll } from "./src/kernel/database/migrate-all.ts";
import { randomUUID } from "node:crypto";

const url = process.argv[2] ?? "";
const F = ["users", "contacts", "documents", "products", "orders"].map((name) => ({
  name, dependsOn: name === "documents" || name === "orders" ? ["users", ...(name === "orders" ? ["products"] : [])] : [],
  migrations: new URL(`./src/features/${name}/migrations/`, import.meta.url),
}));
const t = async (label: string, fn: () => Promise<any>) => { const s = performance.now(); try { return await fn(); } finally { console.log(label, (performance.now() - s).toFixed(1), "ms"); } };
const secrets = createSecrets("insulae tests share one cluster and its roles");
const migrations = await loadMigrations(F);
const main = await t("boot first", () => bootMainServer({ url, secrets, migrations }));
await t("boot again", () => bootMainServer({ url, secrets, migrations }));
await t("5 at once", () => Promise.all([1,2,3,4,5].map(() => bootMainServer({ url, secrets, migrations }))));
const settings = { statementTimeoutMs: 5000, lockTimeoutMs: 2000, idleInTransactionTimeoutMs: 30000 };
const servers: any = {};
const control = new Kysely<any>({ dialect: new PostgresDialect({ pool: new pg.Pool({ ...(await createServers({ control: undefined as any, main, migrations, secrets, settings }).connectionConfig({ serverId: main.id, database: main.database, role: "control" })), max: 4 }) }) });
const s = createServers({ control, main, migrations, secrets, settings });
console.log(await s.list());
const connect = connectDirectly((target) => s.connectionConfig(target));
const p = createProvisioning({ control, connect, servers: s, migrations, secrets, mainDatabase: main.database });
await t("template", () => p.prepareTemplate(main.id));
const ids: any[] = [];
for (let i = 0; i < 8; i++) for (const isolation of ["pool", "schema", "database"] as const) {
  const id = randomUUID() as any;
  const placement = await t(isolation, () => p.place(id, { isolation }));
  if (isolation !== "pool") ids.push(placement);
}
const many = await t("8 databases at once", () => Promise.all(Array.from({ length: 8 }, () => p.place(randomUUID() as any, { isolation: "database" }))));
ids.push(...many);
const app = new pg.Client(await s.connectionConfig({ serverId: main.id, database: many[0].database, role: "app" }));
await t("log in as tenant", () => app.connect());
console.log((await app.query("select current_user, current_database(), current_setting('search_path') sp, current_setting('statement_timeout') st")).rows);
await app.query("select set_config('app.current_tenant_id', $1, false)", [randomUUID()]);
console.log((await app.query("insert into contacts (name) values ('x') returning id, tenant_id")).rows);
await app.end();
const c2 = new pg.Client(await s.connectionConfig({ serverId: main.id, database: main.database, role: "app" }));
await c2.connect();
const a = new pg.Client({ ...(await s.connectionConfig({ serverId: main.id, database: main.database, role: "app" })), user: many[0].database, password: secrets.rolePassword(many[0].database) });
await a.connect().then(() => console.log("BAD: t_ role connected to main"), (e) => console.log("ok:", e.message));
const b = new pg.Client({ ...(await s.connectionConfig({ serverId: main.id, database: many[1].database, role: "app" })), user: many[0].database, password: secrets.rolePassword(many[0].database) });
await b.connect().then(() => console.log("BAD: t_ role connected to B"), (e) => console.log("ok:", e.message));
await c2.end();
await t("migrateAll", async () => console.log((await migrateAll({ connect, control, migrations })).map((o) => o.state).join(",")));
console.log("orphans", await p.findOrphans());
for (const x of ids) await p.retire(x);
console.log("orphans", await p.findOrphans());
console.log(await control.selectFrom("control.placements").select(["database", "schema", "version"]).execute());
await withOwner(connect, { serverId: main.id, database: main.database }, async (c) => { await t("bootcheck", () => c.query("begin; set local role insulae_owner; select * from app.role_problems() union all select * from app.isolation_problems('data'); commit")); });
await control.destroy();
