/** Whether somebody has to sign in again. What they were doing stays as it is meanwhile. */
import { useSyncExternalStore } from "react";
import { whenSessionEnds } from "./context.tsx";

let over = false;
const listeners = new Set<() => void>();
let resumed = Promise.withResolvers<void>();

const set = (value: boolean): void => {
  over = value;
  for (const listener of listeners) listener();
};

whenSessionEnds(() => {
  if (!over) set(true);
});

/** Resolves when somebody has signed in again. */
export function untilSignedIn(): Promise<void> {
  if (!over) set(true);
  return resumed.promise;
}

export function signedInAgain(): void {
  set(false);
  resumed.resolve();
  resumed = Promise.withResolvers<void>();
}

export const useSessionIsOver = (): boolean =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    () => over,
  );

/** Signing out in one tab empties the others. */
export const tabs = new BroadcastChannel("insulae");
