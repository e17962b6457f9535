/**
 * Events: records of changes to a tenant's data for subscribers (`contact.created`). An event is
 * recorded in the transaction of its change, so that one exists if and only if the other does:
 *
 *     does anybody in this tenant subscribe? ─no──► the change: one statement, on a lane
 *                                            └yes─► begin · the change · the event · commit
 *
 * Subscriptions are cached per tenant, so unused events cost nothing. A new subscription is
 * announced (`events:<tenant>`) and effective on all nodes within a second; if the announcement is
 * lost, within half a minute.
 */
import type { Kysely, QueryExecutorProvider } from "kysely";
import type { TSchema } from "typebox";
import { Clean } from "typebox/value";
import type { FollowAnnouncements } from "../announcements/followers.ts";
import type { TenantDatabase } from "../data/tenant-database.ts";
import { hint } from "../lib/declaration-error.ts";
import type { TenantId } from "../lib/ids.ts";
import { Json } from "../lib/json.ts";
import { createLoadingCache } from "../lib/loading-cache.ts";
import { chain } from "../lib/maybe-promise.ts";
import { respellerOf, timeText } from "../lib/times.ts";
import type { Tenant } from "../model/tenant.ts";

/** `<noun>.<past participle>`: `contact.created`. */
export type EventName = `${string}.${string}`;

/** The declaration of an event: who may receive it, and the shape of its subject. */
export interface EventDeclaration {
  /** Required to receive it: `contacts:read`. */
  readonly permission: string;
  readonly data: TSchema;
}

/** An event that a feature declares. */
export interface EventDefinition {
  readonly name: EventName;
  readonly permission: string;
  readonly schema: TSchema;
}

export interface Events<Tables> {
  /**
   * Makes a change, and records events about its result (a row or `Json`) in the same transaction.
   * Only members named in the event's schema are sent. If the change returns neither, because there
   * was no such row, no event is recorded.
   *
   * @param change must use the `db` passed to it, and no other
   * @example
   * ({ db, events, body }) => events.recording("contact.created", (tx) => createContact.json(tx,
   * body))
   */
  recording<Result>(
    names: EventName | readonly EventName[],
    change: (db: Kysely<Tables>) => Promise<Result>,
  ): Promise<Result>;
  /**
   * Records an event in an open transaction, if somebody subscribes to it.
   *
   * @param subject what it is about: a row or `Json`
   */
  record(name: EventName, subject: object, tx: QueryExecutorProvider): Promise<void>;
  /**
   * Records one event per subject in an open transaction, with a few statements for all of them.
   *
   * @param subjects rows, or a JSON array
   */
  recordAll(
    name: EventName,
    subjects: Json | readonly object[],
    tx: QueryExecutorProvider,
  ): Promise<void>;
  /** Whether somebody subscribes to it; ask before fetching a subject. */
  isWanted(name: EventName): Promise<boolean>;
  /** All declared events. */
  readonly catalogue: readonly EventDefinition[];
  /** Makes every node reload subscriptions; call it after changing them. */
  readonly forget: () => Promise<void>;
}

/** Events as sent, with the same text on every attempt. */
export interface RecordedEvents {
  readonly name: EventName;
  /** Each is JSON: `type`, `timestamp`, `data`. */
  readonly payloads: readonly string[];
}

/** A sink for events, such as webhooks. */
export interface EventSubscribers {
  /** The names of the events that somebody in the tenant subscribes to; `*` stands for all. */
  wanted(tenant: Tenant): Promise<readonly string[]>;
  /** Stores events in the transaction, for the current subscribers. */
  record(tenant: Tenant, events: RecordedEvents, tx: QueryExecutorProvider): Promise<void>;
}

export interface EventsOptions extends EventSubscribers {
  readonly features: readonly { readonly events: readonly EventDefinition[] }[];
  /** Announces that the tenant's subscriptions have changed. */
  readonly announce: (id: TenantId) => Promise<void>;
  readonly follow: FollowAnnouncements;
  /** The maximum of tenants whose subscriptions are cached. */
  readonly maxTenants?: number;
}

export interface EventService {
  of<Tables>(tenant: Tenant, db: TenantDatabase<Tables>): Events<Tables>;
}

export function createEvents(options: EventsOptions): EventService {
  const { wanted, record, announce, follow, maxTenants = 50_000 } = options;
  const definitions = new Map(
    options.features.flatMap(({ events }) => events).map((each) => [each.name, each]),
  );
  const catalogue = [...definitions.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const known = createLoadingCache<ReadonlySet<string>>({
    max: maxTenants,
    ttlMs: 30_000,
    follow: ({ forget, clear }) => follow({ events: forget, erased: forget, anything: clear }),
  });

  const definitionOf = (name: EventName): EventDefinition => {
    const definition = definitions.get(name);
    if (!definition) {
      throw new Error(
        `the event ${name} is not declared by any feature${hint(name, definitions.keys())}; declare it in the \`events\` of the feature`,
      );
    }
    return definition;
  };

  /** The names that somebody in the tenant subscribes to. */
  const wantedOf = (tenant: Tenant, names: readonly EventName[]) => {
    const asked = names.map(definitionOf);
    const answer = known.find(tenant.id, async () => new Set(await wanted(tenant)));
    return chain(answer, (all) => asked.filter(({ name }) => all?.has(name) || all?.has("*")));
  };

  const write = async (
    tenant: Tenant,
    { name, schema }: EventDefinition,
    subjects: readonly unknown[],
    tx: QueryExecutorProvider,
  ) => {
    const timestamp = timeText(new Date());
    const respell = respellerOf(schema);
    const payloads = subjects.map((subject) =>
      JSON.stringify({ type: name, timestamp, data: respell(Clean(schema, subject)) }),
    );
    if (payloads.length > 0) await record(tenant, { name, payloads }, tx);
  };

  return {
    of<Tables>(tenant: Tenant, db: TenantDatabase<Tables>): Events<Tables> {
      const change = <Result>(
        definitionsOfIt: readonly EventDefinition[],
        work: (db: Kysely<Tables>) => Promise<Result>,
      ): Promise<Result> => {
        if (definitionsOfIt.length === 0) return work(db);
        return db.transaction().execute(async (tx) => {
          const result = await work(tx);
          if (typeof result === "object" && result !== null) {
            for (const definition of definitionsOfIt)
              await write(tenant, definition, [asJson(result)], tx);
          }
          return result;
        });
      };
      return {
        recording(names, work) {
          const found = wantedOf(tenant, typeof names === "string" ? [names] : names);
          return found instanceof Promise
            ? found.then((definitionsOfIt) => change(definitionsOfIt, work))
            : change(found, work);
        },
        async record(name, subject, tx) {
          const found = await wantedOf(tenant, [name]);
          for (const definition of found) await write(tenant, definition, [asJson(subject)], tx);
        },
        async recordAll(name, subjects, tx) {
          const found = await wantedOf(tenant, [name]);
          if (found.length === 0) return;
          const all = asJson(subjects);
          if (!Array.isArray(all)) throw new Error("recordAll(): subjects is not a list");
          for (const definition of found) await write(tenant, definition, all, tx);
        },
        async isWanted(name) {
          return (await wantedOf(tenant, [name])).length > 0;
        },
        catalogue,
        async forget() {
          known.forget(tenant.id);
          await announce(tenant.id);
        },
      };
    },
  };
}

/** The subject as JSON (dates become strings). A copy, because `Clean` removes members. */
const asJson = (subject: object): unknown =>
  JSON.parse(subject instanceof Json ? subject.text : JSON.stringify(subject));
