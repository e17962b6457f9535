/**
 * The client's address: the peer's, or the one that trusted proxies report (`TRUST_PROXY`; Fastify
 * reads `X-Forwarded-For` from the right as long as each hop is trusted). Addresses have one
 * canonical form here, used by the audit log, the list of sessions and the rate limits.
 */
import { isIP } from "node:net";
import type { FastifyRequest } from "fastify";
import ipaddr from "ipaddr.js";
import { LRUCache } from "lru-cache";

export interface ClientAddress {
  /** `203.0.113.7`, or as RFC 5952 writes it: `2001:db8::7`. */
  readonly address: string;
  /**
   * The unit of rate limits: the address, or its /64 for IPv6, because whoever has one address
   * usually has all 2^64 of them.
   */
  readonly block: string;
  /** The larger networks around an IPv6 address: its /56 and /48. */
  readonly networks: readonly string[];
}

export type ClientOf = (request: FastifyRequest) => ClientAddress;

const v4 = (address: string): ClientAddress => ({ address, block: address, networks: [] });

/** For a peer without an address, such as one on a Unix socket. */
const nowhere = v4("0.0.0.0");

/**
 * The canonical address; undefined if the text is not one. IPv4-mapped IPv6 addresses become IPv4.
 */
export function parseAddress(text: string): ClientAddress | undefined {
  const bare = withoutPort(text);
  const kind = isIP(bare);
  if (kind === 0) return undefined;
  if (kind === 4) return v4(bare);
  const ipv6 = ipaddr.IPv6.parse(bare.split("%", 1)[0] ?? "");
  if (ipv6.isIPv4MappedAddress()) {
    return v4(ipv6.toIPv4Address().toString());
  }
  const network = (bits: 64 | 56 | 48): string => {
    const [a = 0, b = 0, c = 0, d = 0] = ipv6.parts;
    const last = bits === 64 ? d : bits === 56 ? d & 0xff00 : 0;
    return `${new ipaddr.IPv6([a, b, c, last, 0, 0, 0, 0]).toRFC5952String()}/${bits}`;
  };
  return {
    address: ipv6.toRFC5952String(),
    block: network(64),
    networks: [network(56), network(48)],
  };
}

/** Some proxies write `203.0.113.7:51234` and `[2001:db8::7]:51234`. */
const withoutPort = (text: string): string =>
  text.replace(/^\[(.+)\](:\d+)?$/, "$1").replace(/^([\d.]+):\d+$/, "$1");

/**
 * If a proxy writes something that is not an address (`unknown`), the proxy's own address is used.
 */
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
