/**
 * Where a request comes from: the peer, or what trusted proxies say (`TRUST_PROXY`; Fastify goes
 * through `X-Forwarded-For` from the right, as far as each hop is trusted). However it is written, an
 * address has one form here, for the audit log, the list of sessions, and the limits of a client.
 */
import { isIP } from "node:net";
import type { FastifyRequest } from "fastify";
import ipaddr from "ipaddr.js";
import { LRUCache } from "lru-cache";

export interface ClientAddress {
  /** `203.0.113.7`, or as RFC 5952 writes it: `2001:db8::7`. */
  readonly address: string;
  /**
   * What counts as one client: the address, or the /64 of an IPv6 address, in which whoever has one
   * address has 2^64.
   */
  readonly block: string;
}

export type ClientOf = (request: FastifyRequest) => ClientAddress;

/** A peer that has no address, such as one on a Unix socket. */
const nowhere: ClientAddress = { address: "0.0.0.0", block: "0.0.0.0" };

/** The address in its one form; undefined if it is none. An IPv4 address in IPv6 is itself. */
export function parseAddress(text: string): ClientAddress | undefined {
  const bare = withoutPort(text);
  const kind = isIP(bare);
  if (kind === 0) return undefined;
  if (kind === 4) return { address: bare, block: bare };
  const ipv6 = ipaddr.IPv6.parse(bare.split("%", 1)[0] ?? "");
  if (ipv6.isIPv4MappedAddress()) {
    const address = ipv6.toIPv4Address().toString();
    return { address, block: address };
  }
  const network = new ipaddr.IPv6([...ipv6.parts.slice(0, 4), 0, 0, 0, 0]);
  return { address: ipv6.toRFC5952String(), block: `${network.toRFC5952String()}/64` };
}

/** Some proxies write `203.0.113.7:51234` and `[2001:db8::7]:51234`. */
const withoutPort = (text: string): string =>
  text.replace(/^\[(.+)\](:\d+)?$/, "$1").replace(/^([\d.]+):\d+$/, "$1");

/** What a proxy writes that is no address (`unknown`) counts as the proxy's own. */
export function createClientOf(): ClientOf {
  const known = new LRUCache<string, ClientAddress>({ max: 10_000 });
  return (request) => {
    const text = request.ip ?? "";
    const hit = known.get(text);
    if (hit) return hit;
    const found = parseAddress(text);
    if (!found) return parseAddress(request.socket.remoteAddress ?? "") ?? nowhere;
    known.set(text, found);
    return found;
  };
}
