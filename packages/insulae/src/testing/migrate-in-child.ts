/**
 * A migrator in its own process, for tests that kill it. Reports when it is ready, and migrates on
 * request.
 */
import { once } from "node:events";
import { openClient } from "../kernel/engine/connect.ts";
import { loadMigrations } from "../kernel/schema/migration-files.ts";
import { migratePlacement } from "../kernel/schema/migrator.ts";

const { CONFIG = "", SCHEMA = "", FOLDER = "" } = process.env;
const client = await openClient(JSON.parse(CONFIG));
const source = { name: "notes", dependsOn: [], tables: [], migrations: new URL(FOLDER) };
const migrations = await loadMigrations([source]);
process.send?.("ready");
await once(process, "message");
await migratePlacement(client, SCHEMA, migrations);
await client.end();
process.disconnect();
