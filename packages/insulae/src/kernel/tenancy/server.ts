import type { Kysely } from "kysely";
import type { Broker } from "../engine/broker.ts";
import type { Secrets } from "../lib/secrets.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Migrations } from "../schema/migration-files.ts";
import type { ConnectionSettings } from "./connection-config.ts";
import type { MainServer } from "./prepare.ts";

export interface Server {
  readonly id: string;
  readonly name: string;
  /** `host:port`, or the folder of its socket. */
  readonly address: string;
  readonly weight: number;
  readonly accepting: boolean;
  /** Whether it answers, as far as this process knows. */
  readonly answers: boolean;
  /** How many tenants are placed on it; the deleted ones don't count. */
  readonly tenants: number;
}

export interface ServersOptions {
  readonly control: Kysely<ControlTables>;
  readonly main: MainServer;
  readonly migrations: Migrations;
  readonly secrets: Secrets;
  readonly settings: ConnectionSettings;
  /** What knows whether servers answer. Default: they do. */
  readonly broker?: Pick<Broker, "servers" | "isDown" | "renew">;
}
