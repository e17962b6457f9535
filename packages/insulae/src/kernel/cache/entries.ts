/** The interface of a cache's backends: the process's memory, or Redis. */
import type { TenantId } from "../lib/ids.ts";

/** An entry and its dependencies, by ids: `k…` for a key, `t…` for a tag, `all` for everything. */
export interface Slot {
  readonly tenantId: TenantId;
  readonly id: string;
  readonly tags: readonly string[];
}

/** The stored text, or a function that stores what is loaded from now on. */
export type Opened = { readonly text: string } | { readonly keep: Keep };
type Keep = (text: string, ttlMs: number) => Promise<void>;

export interface Entries {
  find(slot: Slot): Promise<string | undefined>;
  open(slot: Slot): Promise<Opened>;
  put(slot: Slot, text: string, ttlMs: number): Promise<void>;
  /** Adds to a stored number; undefined if the value is not a number. */
  add(slot: Slot, by: number, ttlMs: number): Promise<number | undefined>;
  /** @param id a key, a tag, or everything */
  forget(tenantId: TenantId, id: string): Promise<void>;
}

/** The id of all of a tenant's entries. */
export const everything = "all";

/** The integer in an entry's text. */
export const numberIn = ({ tenantId }: Slot, text: string): number | undefined => {
  const value = text.startsWith(`${tenantId} `) ? Number(text.slice(tenantId.length + 1)) : NaN;
  return Number.isSafeInteger(value) ? value : undefined;
};

export const maxTtlSeconds = 86_400;
