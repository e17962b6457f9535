import { useSyncExternalStore } from "react";
import { readStored, store } from "./storage.ts";

export type Theme = "light" | "dark";
/** `system`: as the system has it. */
export type ThemeChoice = Theme | "system";

const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

const chosen = (): ThemeChoice => {
  const stored = readStored("theme");
  return stored === "light" || stored === "dark" ? stored : "system";
};
const current = (): Theme => {
  const choice = chosen();
  if (choice !== "system") return choice;
  return dark.matches ? "dark" : "light";
};

function apply(): void {
  document.documentElement.dataset.theme = current();
  for (const listener of listeners) listener();
}
dark.addEventListener("change", apply);
apply();

export function chooseTheme(choice: ThemeChoice): void {
  store("theme", choice === "system" ? undefined : choice);
  apply();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

export const useTheme = (): Theme => useSyncExternalStore(subscribe, current);
export const useThemeChoice = (): ThemeChoice => useSyncExternalStore(subscribe, chosen);
