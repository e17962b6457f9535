import { useSyncExternalStore } from "react";
import { readStored, store } from "./storage.ts";

/** The keys of tenants that were used lately, or marked with a star, in this browser. */
interface Used {
  readonly recent: readonly string[];
  readonly starred: readonly string[];
}

const mostRecent = 5;
const mostStarred = 20;

function read(): Used {
  try {
    const stored = JSON.parse(readStored("tenants") ?? "{}");
    return { recent: stored.recent ?? [], starred: stored.starred ?? [] };
  } catch {
    return { recent: [], starred: [] };
  }
}

let used = read();
const listeners = new Set<() => void>();

function change(next: Used): void {
  used = next;
  store("tenants", JSON.stringify(next));
  for (const listener of listeners) listener();
}

export function noteTenant(key: string): void {
  if (used.recent[0] === key) return;
  const others = used.recent.filter((each) => each !== key);
  change({ ...used, recent: [key, ...others].slice(0, mostRecent) });
}

export function toggleStar(key: string): void {
  const { starred } = used;
  change({
    ...used,
    starred: starred.includes(key)
      ? starred.filter((each) => each !== key)
      : [key, ...starred].slice(0, mostStarred),
  });
}

export const useTenantsUsed = (): Used =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    () => used,
  );
