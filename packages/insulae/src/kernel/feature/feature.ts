/**
 * A feature is a unit of product: permissions, migrations, tables and routes. Built-in features and
 * an application's own are made by the same `feature()` call.
 */

import type { PermissionDefinition } from "../identity/permission-definition.ts";
import type { JobDefinition } from "../jobs/definition.ts";
import type { ErrorFactory } from "../lib/errors.ts";
import type { AnyMailTemplate } from "../mail/template.ts";
import { checkFeature, checkRoutes } from "./check-feature.ts";
import type { EventDeclaration, EventDefinition, EventName } from "./events.ts";
import { type Hooks, pickHooks } from "./hooks.ts";
import { type Route, type RouteBuilder, routeBuilder } from "./route.ts";

export {
  type PermissionDefinition,
  type SystemRole,
  systemRoles,
} from "../identity/permission-definition.ts";
export type { ResponseSchemas } from "./answer-type.ts";
export type { Access, RouteContext } from "./handler.ts";
export type { ErrorShape, RequestInfo } from "./request-info.ts";
export type { Route, RouteBuilder, RouteOptions } from "./route.ts";

export interface FeatureOptions<Tables> extends Hooks<Tables> {
  /**
   * Names of the form `resource:action`. A string describes it; then `…:read` is held from `viewer`
   * up, `…:write` from `user`, anything else from `admin`.
   */
  readonly permissions?: Readonly<Record<`${string}:${string}`, string | PermissionDefinition>>;
  /** The folder of numbered SQL files (`0001_contacts.sql`) for the data plane. */
  readonly migrations?: URL;
  /**
   * All tables that its migrations create. The server does not start if list and database differ.
   */
  readonly tables?: readonly (keyof Tables & string)[];
  /** Features whose tables this one's migrations reference; they migrate first. */
  readonly dependsOn?: readonly string[];
  /** Errors for violated constraints, by the constraint's name. */
  readonly constraints?: Readonly<Record<string, ErrorFactory>>;
  /** The feature's e-mails, made by `mailTemplate()`. */
  readonly mails?: readonly AnyMailTemplate[];
  /** The feature's background work, made by `job()` and `platformJob()`. */
  readonly jobs?: readonly JobDefinition[];
  /**
   * The events that its handlers record (`events.recording`), each with the schema of its data and
   * the permission to receive it: `{ "contact.created": { permission: "contacts:read", data:
   * Contact } }`. Tenants subscribe to them with webhooks.
   */
  readonly events?: Readonly<Record<EventName, EventDeclaration>>;
  readonly routes?: (r: RouteBuilder<Tables>) => readonly Route[];
}

const optionNames: Readonly<Record<keyof FeatureOptions<never>, true>> = {
  permissions: true,
  migrations: true,
  tables: true,
  dependsOn: true,
  constraints: true,
  mails: true,
  jobs: true,
  events: true,
  routes: true,
  onStart: true,
  onStop: true,
  onRequest: true,
  onResponse: true,
};

export interface Feature {
  readonly name: string;
  readonly permissions: ReadonlyMap<string, PermissionDefinition>;
  readonly migrations: URL | undefined;
  readonly tables: readonly string[];
  readonly dependsOn: readonly string[];
  readonly constraints: Readonly<Record<string, ErrorFactory>>;
  readonly mails: readonly AnyMailTemplate[];
  readonly jobs: readonly JobDefinition[];
  readonly events: readonly EventDefinition[];
  readonly hooks: Hooks<never>;
  readonly routes: readonly Route[];
}

/**
 * Declares a feature.
 *
 * @param name lower-case, `[a-z][a-z0-9-]*`; identifies the feature in the migration ledger, so
 * don't change it once a migration has run
 * @throws DeclarationError if an option is unknown or malformed
 * @example
 * const notes = feature<{ notes: NotesTable }>("notes", {
 *   permissions: { "notes:read": "See notes" },
 *   migrations: new URL("./migrations/", import.meta.url),
 *   tables: ["notes"],
 *   routes: (r) => [
 *     r.get("/notes", { permission: "notes:read", response: Type.Array(Note), summary: "All notes" },
 *       ({ db }) => db.selectFrom("notes").select(["id", "text"])),
 *   ],
 * });
 */
export function feature<Tables = Record<never, never>>(
  name: string,
  options: FeatureOptions<Tables>,
): Feature {
  checkFeature(name, options, Object.keys(optionNames));
  return Object.freeze({
    name,
    permissions: new Map(
      Object.entries(options.permissions ?? {}).map(([key, value]) => [
        key,
        permission(key, value),
      ]),
    ),
    migrations: options.migrations,
    tables: options.tables ?? [],
    dependsOn: options.dependsOn ?? [],
    constraints: options.constraints ?? {},
    mails: options.mails ?? [],
    jobs: options.jobs ?? [],
    events: Object.entries(options.events ?? {}).map(([name, { permission, data }]) => ({
      name: name as EventName, // the option's type ensures it
      permission,
      schema: data,
    })),
    hooks: pickHooks(options),
    routes: options.routes ? routesOf(name, options.routes) : [],
  });
}

function routesOf<Tables>(
  name: string,
  routes: (r: RouteBuilder<Tables>) => readonly Route[],
): readonly Route[] {
  const declared = new Set<Route>();
  const returned = routes(routeBuilder<Tables>(declared));
  checkRoutes(name, returned, declared);
  return returned;
}

function permission(name: string, definition: string | PermissionDefinition): PermissionDefinition {
  if (typeof definition !== "string") return definition;
  const action = name.slice(name.indexOf(":") + 1);
  const role = action === "read" ? "viewer" : action === "write" ? "user" : "admin";
  return { description: definition, role };
}
