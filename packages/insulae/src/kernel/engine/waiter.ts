import { databaseBusy, retryLater } from "./errors.ts";
import type { Lease, LeaseOptions } from "./lease.ts";
import { type Target, targetKey } from "./target.ts";

/** Somebody who waits for a connection, for a bounded time. */
export interface Waiter {
  readonly target: Target;
  readonly key: string;
  readonly options: LeaseOptions;
  readonly promise: Promise<Lease>;
  /** It has what it waited for, or has gone away. */
  readonly isDone: boolean;
  grant(lease: Lease): void;
  refuse(error: Error): void;
}

/** @param done called once, when it waits no longer. */
export function createWaiter(
  target: Target,
  options: LeaseOptions,
  timeoutMs: number,
  done: (waiter: Waiter) => void,
): Waiter {
  const { promise, resolve, reject } = Promise.withResolvers<Lease>();
  const { signal } = options;
  let isDone = false;

  const finish = (): boolean => {
    if (isDone) return false;
    isDone = true;
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
    done(waiter);
    return true;
  };
  const refuse = (error: Error) => {
    if (finish()) reject(error);
  };
  const abort = () => refuse(databaseBusy(retryLater(signal?.reason)));
  const timer = setTimeout(() => refuse(databaseBusy(retryLater())), timeoutMs);

  const waiter: Waiter = {
    target,
    key: targetKey(target),
    options,
    promise,
    get isDone() {
      return isDone;
    },
    grant(lease) {
      if (finish()) resolve(lease);
    },
    refuse,
  };
  if (signal?.aborted === true) abort();
  else signal?.addEventListener("abort", abort, { once: true });
  return waiter;
}
