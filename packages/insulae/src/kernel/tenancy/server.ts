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
  /** `host:port`, or the directory of its socket. */
  readonly address: string;
  readonly weight: number;
  readonly accepting: boolean;
  /** Whether it responds, as far as this process knows. */
  readonly answers: boolean;
  /** The number of tenants placed on it, without deleted ones. */
  readonly tenants: number;
}

export interface ServersOptions {
  readonly control: Kysely<ControlTables>;
  readonly main: MainServer;
  readonly migrations: Migrations;
  readonly secrets: Secrets;
  readonly settings: ConnectionSettings;
  /** Knows whether servers respond. Default: they do. */
  readonly broker?: Pick<Broker, "servers" | "isDown" | "renew">;
}
