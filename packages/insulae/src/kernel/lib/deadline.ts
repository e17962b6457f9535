/**
 * Deadlines enforced by this process. Timeouts of libraries often don't bound a call: they measure
 * silence, stop once the request is written, or depend on an event that the other side has to
 * cause.
 */

/** A call to another system took too long. */
export class DeadlineExceeded extends Error {
  constructor(milliseconds: number) {
    super(`there was no complete response within ${milliseconds / 1000} s`);
    this.name = "DeadlineExceeded";
  }
}

/**
 * Runs the work with a deadline. The work gets a signal to stop, but nobody waits until it does.
 *
 * @param outer ends it earlier, with its own reason
 * @throws DeadlineExceeded, the reason of `outer`, or the error of the work
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
    // Reject first: the work's own reaction to the abort must not hide the reason.
    ended.reject(reason);
    controller.abort(reason);
  };
  const endWithOuter = () => end(outer?.reason);
  // Not AbortSignal.timeout: its timer does not keep the process alive.
  const timer = setTimeout(() => end(new DeadlineExceeded(milliseconds)), milliseconds);
  outer?.addEventListener("abort", endWithOuter, { once: true });
  try {
    return await Promise.race([ended.promise, work(controller.signal)]);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", endWithOuter);
  }
}
