/** A migrator in a process of its own, to be killed. Says when it starts to migrate. */
import { openClient } from "../kernel/engine/connect.ts";
import { loadMigrations } from "../kernel/schema/migration-files.ts";
import { migratePlacement } from "../kernel/schema/migrator.ts";

const { CONFIG = "", SCHEMA = "", FOLDER = "" } = process.env;
const client = await openClient(JSON.parse(CONFIG));
const source = { name: "notes", dependsOn: [], tables: [], migrations: new URL(FOLDER) };
const migrations = await loadMigrations([source]);
process.send?.("migrating");
await migratePlacement(client, SCHEMA, migrations);
await client.end();
