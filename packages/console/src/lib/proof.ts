/** Whether somebody has to prove again who they are: some changes want that of the last ten minutes. */
import { ApiError, type Client } from "@insulae/client";
import { useSyncExternalStore } from "react";

interface Asked {
  /** Of the tab that asks: the proof counts for its session. */
  readonly client: Client;
  readonly done: () => void;
  readonly cancel: () => void;
}

let asked: Asked | undefined;
const listeners = new Set<() => void>();

const set = (next: Asked | undefined): void => {
  asked = next;
  for (const listener of listeners) listener();
};

export const needsProof = (error: unknown): boolean =>
  error instanceof ApiError && error.code === "reauthentication_required";

/** Resolves once somebody has proved who they are. @throws the refusal, if they would rather not */
export function untilProved(client: Client, refusal: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    const before = asked;
    set({
      client,
      done: () => {
        set(undefined);
        before?.done();
        resolve();
      },
      cancel: () => {
        set(undefined);
        before?.cancel();
        reject(refusal);
      },
    });
  });
}

export const useProofAsked = (): Asked | undefined =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    () => asked,
  );
