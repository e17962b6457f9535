import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** What a proxy's id may look like: it goes into headers and logs as it is. */
const acceptable = /^[A-Za-z0-9._-]{1,64}$/;

type Source = Pick<IncomingMessage, "headers"> & {
  readonly socket: Pick<IncomingMessage["socket"], "remoteAddress">;
};

/**
 * Gives each request an id: the one in `x-request-id`, where the peer is a trusted proxy, or a new one that nobody
 * can guess. From anyone else the header counts for nothing: an id that a client chose could be that of another
 * request in the logs and the audit log.
 *
 * @param trusts whether an address is a trusted proxy's.
 */
export const createRequestId =
  (trusts: (address: string) => boolean) =>
  ({ headers, socket }: Source): string => {
    const given = headers["x-request-id"];
    return typeof given === "string" && acceptable.test(given) && trusts(socket.remoteAddress ?? "")
      ? given
      : randomUUID();
  };
