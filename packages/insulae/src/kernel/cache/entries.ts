/** Where a cache keeps what it is given: in the process, or in Redis. */
import type { TenantId } from "../lib/ids.ts";

/** What is asked for and depended on, by ids: `k…` of a key, `t…` of a tag, `all` of everything. */
export interface Slot {
  readonly tenantId: TenantId;
  readonly id: string;
  readonly tags: readonly string[];
}

/** What is there; or else a way to keep what is loaded from now on. */
export type Opened = { readonly text: string } | { readonly keep: Keep };
type Keep = (text: string, ttlMs: number) => Promise<void>;

export interface Entries {
  find(slot: Slot): Promise<string | undefined>;
  open(slot: Slot): Promise<Opened>;
  put(slot: Slot, text: string, ttlMs: number): Promise<void>;
  /** Adds to the number that is the value of the text; undefined: it is none. */
  add(slot: Slot, by: number, ttlMs: number): Promise<number | undefined>;
  /** @param id of a key, a tag, or everything */
  forget(tenantId: TenantId, id: string): Promise<void>;
}

/** Names all of a tenant's entries. */
export const everything = "all";

/** The whole number that is kept under an entry's text. */
export const numberIn = ({ tenantId }: Slot, text: string): number | undefined => {
  const value = text.startsWith(`${tenantId} `) ? Number(text.slice(tenantId.length + 1)) : NaN;
  return Number.isSafeInteger(value) ? value : undefined;
};

export const maxTtlSeconds = 86_400;
