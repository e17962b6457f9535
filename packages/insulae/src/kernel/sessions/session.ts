/**
 * Per-person data that handlers keep between requests: `session.get("cart")`.
 *
 * Data is read when a handler first asks for it. Changes are saved once, after the handler.
 * Concurrent requests don't lose each other's keys: saving compares the stored revision with the
 * one that was read, and if somebody was faster, applies the same changes to the newer data. For
 * the same key, the last one wins.
 *
 * The data is encrypted (AES-256-GCM) with a key for this session of this tenant, so a stored
 * session can't be read, nor moved to another place.
 */
import { randomUUID } from "node:crypto";
import type { TenantDatabase } from "../data/tenant-database.ts";
import { defineError } from "../lib/errors.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Secrets } from "../lib/secrets.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Place, SessionStore, Stored } from "./store.ts";

export interface Session {
  /** The session's id for `withTenant`; undefined for a visitor without data. */
  readonly id: string | undefined;
  get<T = unknown>(key: string): Promise<T | undefined>;
  /** @param value a JSON value; undefined deletes */
  set(key: string, value: unknown): void;
  delete(key: string): void;
  /** Deletes all keys. */
  clear(): void;
  /** Deletes the session at once. */
  destroy(): Promise<void>;
  /**
   * Gives a visitor a new id and keeps the data. Call it after anything that makes the session more
   * valuable. A signed-in user's session belongs to the sign-in, whose id nobody could have
   * planted.
   */
  regenerate(): Promise<void>;
}

/** Outside a request, whoever opens a session must save it. */
export interface OpenedSession extends Session {
  save(): Promise<void>;
}

export interface SessionOwner {
  readonly tenantId: TenantId;
  readonly db: TenantDatabase<Record<never, never>>;
  readonly id: string | undefined;
  /**
   * Creates a new id and sends it to the browser; undefined if the browser does not hold the id.
   */
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
      log.warn({ err: error }, "Could not decrypt a session; starting with an empty one");
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
        // An id without data was not issued by this server, or has expired: don't adopt it
        // (fixation).
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
        // The caller states the type of what was set.
        return (await present())[key] as T | undefined;
      },
      set(key, value) {
        // A copy, so that later changes of the object don't affect the session.
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

/** Without a prototype: keys may come from requests, and `__proto__` is one like any other. */
const emptyData = (): Data => Object.create(null);
