/**
 * What handlers keep of somebody from one request to the next: `session.get("cart")`.
 *
 * Nothing is read before the handler asks, and nothing written unless it has changed something; what
 * it changed is saved once, after it. Two requests of one session at once don't lose each other's
 * keys: who saves compares what is there with what was read, and where somebody was faster makes the
 * same changes to that. For one key, the last one wins.
 *
 * The data is encrypted (AES-256-GCM) with a key for this one session of this one tenant, so that
 * what is stored can neither be read nor put in another's place.
 */
import { randomUUID } from "node:crypto";
import type { TenantDatabase } from "../data/tenant-database.ts";
import { defineError } from "../lib/errors.ts";
import type { Secrets } from "../lib/secrets.ts";
import type { Logger } from "../telemetry/log.ts";
import type { TenantId } from "../tenancy/tenant.ts";
import type { Place, SessionStore, Stored } from "./store.ts";

export interface Session {
  /** Names the session to `withTenant`; undefined for a visitor for whom nothing was set yet. */
  readonly id: string | undefined;
  get<T = unknown>(key: string): Promise<T | undefined>;
  /** @param value anything that JSON can hold; undefined deletes. */
  set(key: string, value: unknown): void;
  delete(key: string): void;
  /** Deletes all keys. */
  clear(): void;
  /** Deletes the session, at once. */
  destroy(): Promise<void>;
  /**
   * Gives a visitor a new id and keeps the data: after anything that makes the session worth more. A
   * signed-in user's belongs to their sign-in, which has no id that anybody could have planted.
   */
  regenerate(): Promise<void>;
}

/** Outside a request nobody saves but who has opened it. */
export interface OpenedSession extends Session {
  save(): Promise<void>;
}

export interface SessionOwner {
  readonly tenantId: TenantId;
  readonly db: TenantDatabase<Record<never, never>>;
  readonly id: string | undefined;
  /** Makes a new id, and tells the browser; undefined where the id is not the browser's to hold. */
  readonly newId?: (() => string) | undefined;
}

export type OpenSession = (owner: SessionOwner) => OpenedSession;

export interface SessionsOptions {
  readonly store: SessionStore;
  readonly secrets: Pick<Secrets, "seal" | "open">;
  /** How long a session is kept after its last change. */
  readonly ttlSeconds: number;
  readonly log: Logger;
}

export const sessionTooLarge = defineError(
  "session_too_large",
  422,
  "A session can hold at most 64 KB of data. Store less in it.",
);
export const noSession = defineError(
  "no_session",
  403,
  "API keys and client certificates have no session. Sign in as a user.",
);

const maxBytes = 65_536;
const maxAttempts = 20;

type Data = Record<string, unknown>;

export function createSessions({ store, secrets, ttlSeconds, log }: SessionsOptions): OpenSession {
  const purpose = ({ tenantId, id }: Place) => `session:${tenantId}:${id}`;

  const read = (place: Place, stored: Stored | undefined): Data => {
    if (!stored) return emptyData();
    try {
      return Object.assign(emptyData(), JSON.parse(secrets.open(purpose(place), stored.sealed)));
    } catch (error) {
      log.warn({ err: error }, "A session cannot be read, and begins anew");
      return emptyData();
    }
  };

  return ({ tenantId, db, id: firstId, newId }) => {
    let id = firstId;
    let loaded: Promise<{ stored: Stored | undefined; data: Data }> | undefined;
    let changes: ((data: Data) => void)[] = [];

    const placeOf = (known: string): Place => ({ tenantId, db, id: known });
    const load = async () => {
      const stored = id === undefined ? undefined : await store.load(placeOf(id));
      return { stored, data: id === undefined ? emptyData() : read(placeOf(id), stored) };
    };
    const change = (apply: (data: Data) => void): void => {
      changes.push(apply);
    };
    const present = async (): Promise<Data> => {
      loaded ??= load();
      const data = Object.assign(emptyData(), (await loaded).data);
      for (const apply of changes) apply(data);
      return data;
    };

    const save = async (): Promise<void> => {
      for (let attempt = 0; changes.length > 0; attempt += 1) {
        const data = await present();
        const { stored } = (await loaded) ?? { stored: undefined };
        const text = JSON.stringify(data);
        if (Buffer.byteLength(text) > maxBytes) throw sessionTooLarge();
        if (!stored && Object.keys(data).length === 0) break;
        // An id that leads nowhere was not given by this server, or has expired: it is not taken up.
        if (!stored && newId) id = newId();
        if (id === undefined) throw noSession();
        const place = placeOf(id);
        const next = {
          revision: randomUUID(),
          sealed: secrets.seal(purpose(place), text),
          ttlSeconds,
        };
        if (await store.save(place, stored, next)) break;
        if (attempt >= maxAttempts) throw new Error("a session is changed too often at once");
        loaded = undefined;
      }
      changes = [];
      // Where it is kept is the store's to say the next time.
      loaded = undefined;
    };

    const destroy = async (): Promise<void> => {
      changes = [];
      loaded = undefined;
      if (id !== undefined) await store.destroy(placeOf(id));
    };

    return {
      get id() {
        return id;
      },
      async get<T>(key: string) {
        // What was set is what JSON makes of it; the caller says what that is.
        return (await present())[key] as T | undefined;
      },
      set(key, value) {
        // A copy: what becomes of the object later is not part of the session.
        const text = JSON.stringify(value);
        change((data) => {
          if (text === undefined) delete data[key];
          else data[key] = JSON.parse(text);
        });
      },
      delete: (key) => change((data) => delete data[key]),
      clear: () =>
        change((data) => {
          for (const key of Object.keys(data)) delete data[key];
        }),
      destroy,
      async regenerate() {
        if (!newId || id === undefined) return;
        const data = await present();
        await destroy();
        id = undefined; // saving makes another one
        change((fresh) => Object.assign(fresh, data));
      },
      save,
    };
  };
}

/** Keys come from handlers, perhaps from requests: `__proto__` is one like any other. */
const emptyData = (): Data => Object.create(null);
