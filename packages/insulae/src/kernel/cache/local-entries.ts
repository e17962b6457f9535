/**
 * The in-process backend. Each tenant's shelf holds at most an eighth of the total, so a tenant
 * that stores too much evicts its own entries. If all shelves together are too full, the least
 * recently used entries of the least recently active tenant go first.
 *
 * An entry counts as at least 512 bytes, so the number of entries is bounded too.
 */
import { LRUCache } from "lru-cache";
import type { TenantId } from "../lib/ids.ts";
import { type Entries, everything, numberIn, type Slot } from "./entries.ts";

export interface LocalEntries extends Entries {
  clear(): void;
  /** The current size. */
  readonly bytes: () => number;
}

export interface LocalEntriesOptions {
  readonly maxBytes: number;
  /**
   * Whether other nodes' invalidations are reliably received; otherwise entries are short-lived.
   */
  readonly trusted: () => boolean;
  readonly now?: () => number;
}

interface Entry {
  readonly text: string;
  readonly tags: readonly string[];
  readonly keptAt: number;
  readonly expiresAt: number;
}

interface Shelf {
  readonly entries: LRUCache<string, Entry>;
  readonly byTag: Map<string, Set<string>>;
}

const share = 8;
const untrustedMs = 1_000;

/** UTF-16, plus the overhead of an entry. */
const sizeOf = (text: string): number => 512 + text.length * 2;

export function createLocalEntries(options: LocalEntriesOptions): LocalEntries {
  const { maxBytes, trusted, now = () => performance.now() } = options;
  // In order of last use.
  const shelves = new Map<TenantId, Shelf>();
  let bytes = 0;

  const newShelf = (): Shelf => {
    const byTag: Shelf["byTag"] = new Map();
    const entries = new LRUCache<string, Entry>({
      maxSize: Math.max(1, Math.floor(maxBytes / share)),
      dispose({ text, tags }, id) {
        bytes -= sizeOf(text);
        for (const tag of tags) {
          const ids = byTag.get(tag);
          ids?.delete(id);
          if (ids?.size === 0) byTag.delete(tag);
        }
      },
    });
    return { entries, byTag };
  };

  const use = (tenantId: TenantId, shelf: Shelf): Shelf => {
    shelves.delete(tenantId);
    shelves.set(tenantId, shelf);
    return shelf;
  };

  const makeRoom = (): void => {
    for (const [tenantId, shelf] of shelves) {
      while (bytes > maxBytes && shelf.entries.size > 0) shelf.entries.pop();
      if (shelf.entries.size === 0) shelves.delete(tenantId);
      if (bytes <= maxBytes) return;
    }
  };

  /** The entry, if it is still valid. */
  const look = ({ tenantId, id }: Slot): Entry | undefined => {
    // First, because this may find reception broken and clear all shelves.
    const isTrusted = trusted();
    const shelf = shelves.get(tenantId);
    const entry = shelf?.entries.get(id);
    if (!shelf || !entry) return undefined;
    const at = now();
    if (at < entry.expiresAt && (isTrusted || at < entry.keptAt + untrustedMs)) {
      use(tenantId, shelf);
      return entry;
    }
    shelf.entries.delete(id);
    return undefined;
  };

  const put = ({ tenantId, id, tags }: Slot, text: string, ttlMs: number): void => {
    const { entries, byTag } = use(tenantId, shelves.get(tenantId) ?? newShelf());
    entries.delete(id);
    const size = sizeOf(text);
    if (size > maxBytes / share) return;
    const at = now();
    bytes += size;
    entries.set(id, { text, tags, keptAt: at, expiresAt: at + ttlMs }, { size });
    for (const tag of tags) byTag.set(tag, (byTag.get(tag) ?? new Set()).add(id));
    makeRoom();
  };

  const local: LocalEntries = {
    find: async (slot) => look(slot)?.text,
    async open(slot) {
      const text = await local.find(slot);
      // The caller knows whether it was invalidated during the load.
      if (text === undefined) return { keep: async (made, ttlMs) => put(slot, made, ttlMs) };
      return { text };
    },
    async put(slot, text, ttlMs) {
      put(slot, text, ttlMs);
    },
    async add(slot, by, ttlMs) {
      const entry = look(slot);
      const before = entry ? numberIn(slot, entry.text) : 0;
      if (before === undefined) return undefined;
      const left = entry ? entry.expiresAt - now() : ttlMs;
      put({ ...slot, tags: entry?.tags ?? slot.tags }, `${slot.tenantId} ${before + by}`, left);
      return before + by;
    },
    async forget(tenantId, id) {
      const shelf = shelves.get(tenantId);
      if (!shelf) return;
      if (id === everything) shelf.entries.clear();
      for (const each of [id, ...(shelf.byTag.get(id) ?? [])]) shelf.entries.delete(each);
      if (shelf.entries.size === 0) shelves.delete(tenantId);
    },
    clear() {
      for (const { entries } of shelves.values()) entries.clear();
      shelves.clear();
    },
    bytes: () => bytes,
  };
  return local;
}
