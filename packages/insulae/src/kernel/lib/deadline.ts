/**
 * Deadlines of our own. Timeouts of libraries are often none: they measure how long nothing comes, end
 * when a request is written, or wait for an event that the other side has to cause. This one ends
 * the call whatever the other side does.
 */

/** The time for something outside this process is over. */
export class DeadlineExceeded extends Error {
  constructor(milliseconds: number) {
    super(`there was no complete answer within ${milliseconds / 1000} s`);
    this.name = "DeadlineExceeded";
  }
}

/**
 * Gives the work so much time. It gets a signal, so that it can end; nobody waits until it does.
 *
 * @param outer ends it earlier, with its own reason.
 * @throws DeadlineExceeded, the reason of `outer`, or what the work throws
 * @example
 * await withDeadline(30_000, (abortSignal) => client.send(command, { abortSignal }));
 */
export async function withDeadline<Result>(
  milliseconds: number,
  work: (signal: AbortSignal) => Promise<Result>,
  outer?: AbortSignal,
): Promise<Result> {
  outer?.throwIfAborted();
  const controller = new AbortController();
  const ended = Promise.withResolvers<never>();
  const end = (reason: unknown): void => {
    // First, so that what the work throws because of it doesn't hide why.
    ended.reject(reason);
    controller.abort(reason);
  };
  const endWithOuter = () => end(outer?.reason);
  // Not AbortSignal.timeout: its timer doesn't keep a process that waits for nothing else.
  const timer = setTimeout(() => end(new DeadlineExceeded(milliseconds)), milliseconds);
  outer?.addEventListener("abort", endWithOuter, { once: true });
  try {
    return await Promise.race([ended.promise, work(controller.signal)]);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", endWithOuter);
  }
}
