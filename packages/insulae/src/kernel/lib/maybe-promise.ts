/**
 * Values that are mostly available at once: a cache hit is a plain value, a miss a promise. Code on
 * the request path continues synchronously with a value and waits only for a promise; `await` would
 * send every request through the microtask queue several times.
 */
export type MaybePromise<T> = T | Promise<T>;

/** Continues with the value, synchronously if possible. */
export const chain = <T, R>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<R>,
): MaybePromise<R> => (value instanceof Promise ? value.then(next) : next(value));

/** All the values, synchronously if none is a promise. */
export const all = <T extends readonly unknown[]>(
  values: T,
): MaybePromise<{ -readonly [K in keyof T]: Awaited<T[K]> }> =>
  values.some((value) => value instanceof Promise)
    ? Promise.all(values)
    : // None of them is a promise.
      (values as { -readonly [K in keyof T]: Awaited<T[K]> });
