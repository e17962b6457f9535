import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** Which ids of a proxy are accepted: they go into headers and logs unescaped. */
const acceptable = /^[A-Za-z0-9._-]{1,64}$/;

type Source = Pick<IncomingMessage, "headers"> & {
  readonly socket: Pick<IncomingMessage["socket"], "remoteAddress">;
};

/**
 * Gives each request an id: `x-request-id` if the peer is a trusted proxy, otherwise a new random
 * one. Other clients' headers are ignored: the id could be that of another request in the logs and
 * the audit log.
 *
 * @param trusts whether an address is a trusted proxy's
 */
export const createRequestId =
  (trusts: (address: string) => boolean) =>
  ({ headers, socket }: Source): string => {
    const given = headers["x-request-id"];
    return typeof given === "string" && acceptable.test(given) && trusts(socket.remoteAddress ?? "")
      ? given
      : randomUUID();
  };
