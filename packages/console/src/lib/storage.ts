/** What this browser remembers: theme, language, tenants used lately. Never tokens, never data. */

const prefix = "insulae.";

/** Undefined too where the browser stores nothing. */
export function readStored(name: string): string | undefined {
  try {
    return localStorage.getItem(prefix + name) ?? undefined;
  } catch {
    return undefined;
  }
}

export function store(name: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(prefix + name);
    else localStorage.setItem(prefix + name, value);
  } catch {
    // A browser that stores nothing asks again.
  }
}
