import type { ServerResponse } from "node:http";

/** How long a client may take for one piece of a response. */
const takenWithinMs = 120_000;

/**
 * Yields the pieces of a response as the client takes them. Disconnects a client that takes none
 * for two minutes: it holds a page of rows or a file descriptor, and perhaps a place that others
 * wait for.
 */
export async function* takeInTime<Piece>(
  pieces: AsyncIterable<Piece>,
  answer: ServerResponse,
): AsyncGenerator<Piece> {
  const late = setTimeout(() => answer.destroy(), takenWithinMs).unref();
  answer.once("close", () => clearTimeout(late));
  for await (const piece of pieces) {
    late.refresh();
    yield piece;
  }
  late.refresh();
}
