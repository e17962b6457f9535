/**
 * Events: what features tell others about changes of a tenant's data (`contact.created`). An event is
 * recorded in the transaction of the change that it tells of, so there is one if and only if the
 * change is there:
 *
 *     does anybody in this tenant want it? ─no──► the change: one statement, on a lane
 *                                          └yes─► begin · the change · the event · commit
 *
 * Who wants what is asked once for each tenant and kept, so that it costs nothing where nobody does.
 * Subscribing is announced (`events:<tenant>`) and counts on all nodes within a second; should an
 * announcement be lost, within half a minute.
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

/** What a feature says of an event: who may hear of it, and what it is about after the change. */
export interface EventDeclaration {
  /** Lets somebody read what the event is about: `contacts:read`. */
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
   * Makes a change, and records events of it in the same transaction. What the change gives is what
   * they are about: a row, or `Json`; as far as the event's schema names it, nothing else gets out.
   * Where it gives neither (there was no such row), nothing has happened.
   *
   * @param change makes its statements on the `db` that it is given, and on no other.
   * @example
   * ({ db, events, body }) => events.recording("contact.created", (tx) => createContact.json(tx, body))
   */
  recording<Result>(
    names: EventName | readonly EventName[],
    change: (db: Kysely<Tables>) => Promise<Result>,
  ): Promise<Result>;
  /**
   * Records an event in a transaction that is open already; nothing where nobody wants it.
   *
   * @param subject what it is about: a row, or `Json`.
   */
  record(name: EventName, subject: object, tx: QueryExecutorProvider): Promise<void>;
  /**
   * Records an event of each of many, in a transaction that is open already, at the cost of a few
   * statements for all of them.
   *
   * @param subjects rows, or a JSON array.
   */
  recordAll(
    name: EventName,
    subjects: Json | readonly object[],
    tx: QueryExecutorProvider,
  ): Promise<void>;
  /** Whether somebody wants it: where what it would be about has to be fetched first. */
  isWanted(name: EventName): Promise<boolean>;
  /** All that may happen here. */
  readonly catalogue: readonly EventDefinition[];
  /** Makes every node ask anew who wants what: to be called when that has changed. */
  readonly forget: () => Promise<void>;
}

/** Events as they are sent, again and again the same text. */
export interface RecordedEvents {
  readonly name: EventName;
  /** Each is JSON: `type`, `timestamp`, `data`. */
  readonly payloads: readonly string[];
}

/** Who passes events on. */
export interface EventSubscribers {
  /** The names of the events that somebody in the tenant wants; `*` stands for all. */
  wanted(tenant: Tenant): Promise<readonly string[]>;
  /** Writes events down in the transaction, for whoever wants them by then. */
  record(tenant: Tenant, events: RecordedEvents, tx: QueryExecutorProvider): Promise<void>;
}

export interface EventsOptions extends EventSubscribers {
  readonly features: readonly { readonly events: readonly EventDefinition[] }[];
  /** Tells all nodes to forget what they know of the tenant. */
  readonly announce: (id: TenantId) => Promise<void>;
  readonly follow: FollowAnnouncements;
  /** Of how many tenants it is remembered which events they want. */
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
        `the event ${name} is declared by no feature${hint(name, definitions.keys())}; declare it in the \`events\` of the feature`,
      );
    }
    return definition;
  };

  /** Those of the names that somebody in the tenant wants. */
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
          if (!Array.isArray(all)) throw new Error("recordAll(): the subjects are no list");
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

/** As it is in JSON: dates are texts. A copy, of which `Clean` may take away. */
const asJson = (subject: object): unknown =>
  JSON.parse(subject instanceof Json ? subject.text : JSON.stringify(subject));
