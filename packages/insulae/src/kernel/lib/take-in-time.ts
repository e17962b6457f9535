import type { ServerResponse } from "node:http";

/** For a piece of an answer, and what of it is still on its way. */
const takenWithinMs = 120_000;

/**
 * The pieces of an answer, as the client takes them. One that takes none for two minutes is cut off: it
 * holds a page of rows or a file's descriptor, and perhaps a place that others wait for.
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
