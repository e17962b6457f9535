/**
 * Answers that are mostly at hand: a cache's hit is a plain value, a miss a promise. Code on the path
 * of a request goes on at once with the one and waits only for the other; an `await` would put every
 * request through the microtask queue a few times for nothing.
 */
export type MaybePromise<T> = T | Promise<T>;

/** Goes on with the value, now if it is here. */
export const chain = <T, R>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<R>,
): MaybePromise<R> => (value instanceof Promise ? value.then(next) : next(value));

/** All the values, now if they are all here. */
export const all = <T extends readonly unknown[]>(
  values: T,
): MaybePromise<{ -readonly [K in keyof T]: Awaited<T[K]> }> =>
  values.some((value) => value instanceof Promise)
    ? Promise.all(values)
    : // None of them is a promise.
      (values as { -readonly [K in keyof T]: Awaited<T[K]> });
