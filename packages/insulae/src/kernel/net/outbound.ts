/**
 * HTTP requests to URLs chosen by tenants: OpenID Connect providers, webhooks. Without protection,
 * whoever chooses a URL could make this server send requests to its own network (SSRF). So:
 *
 *     URL ─► https? ─► name → all its addresses ─► every one public? ─► connect by address
 *
 * The name is resolved once and the connection pinned to the checked addresses, so a second DNS
 * response (rebinding) has no effect. Redirects are never followed: they are responses like any
 * other, for the caller to refuse. Time and size are bounded (see `exchange.ts`).
 */
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { DeadlineExceeded, withDeadline } from "../lib/deadline.ts";
import { lookUpAddresses } from "./dns.ts";
import { AnswerTooLarge, type ExchangeRequest, exchange, ProtocolError } from "./exchange.ts";

export interface OutboundOptions {
  /** Allow this machine itself, and without TLS: for development and tests. */
  readonly allowLoopback: boolean;
  /** All addresses of a name; default: from the DNS. */
  readonly resolve?: (name: string, signal: AbortSignal) => Promise<readonly string[]>;
}

/** `timeoutMs` is from resolving the name to the last byte. */
export type OutboundRequest = Omit<ExchangeRequest, "lookup">;

export interface Outbound {
  /** @throws OutboundError */
  (url: string, request: OutboundRequest): Promise<Response>;
  /**
   * Resolves the URL now without sending a request, to give feedback when it is configured. Each
   * request checks again.
   *
   * @throws OutboundError
   */
  check(url: string, timeoutMs: number): Promise<void>;
}

export type OutboundFailure =
  | "address_refused"
  | "unreachable"
  | "timeout"
  | "too_large"
  /** The server responded, but not with valid HTTP. */
  | "not_http";

/**
 * There was no valid response. The message is for logs only: it may reveal what is in the network.
 */
export class OutboundError extends Error {
  readonly failure: OutboundFailure;

  constructor(failure: OutboundFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "OutboundError";
    this.failure = failure;
  }
}

/**
 * @example
 * const outbound = createOutbound({ allowLoopback: config.env !== "production" });
 * await outbound(url, { method: "POST", headers, body, timeoutMs: 5_000, maxBytes: 1_000_000 });
 */
export function createOutbound({
  allowLoopback,
  resolve = lookUpAddresses,
}: OutboundOptions): Outbound {
  /** The addresses of the URL's host, if all of them are allowed. */
  const permitted = async (url: URL, signal: AbortSignal): Promise<readonly string[]> => {
    if (!/^https?:$/.test(url.protocol) || url.username || url.password) {
      throw refused(url, "it is not an https URL");
    }
    if (url.port === "0") throw refused(url, "nothing listens on port 0");
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const addresses = isIP(host) ? [host] : await resolve(host, signal);
    const kinds = addresses.map(kindOf);
    const fit = kinds.every((kind) => kind === "unicast" || (allowLoopback && kind === "loopback"));
    if (kinds.length === 0 || !fit) throw refused(url, "it is not a public address");
    if (url.protocol === "http:" && !kinds.every((kind) => kind === "loopback")) {
      throw refused(url, "it is not https");
    }
    return addresses;
  };

  const ask = (text: string, request: OutboundRequest): Promise<Response> =>
    named(text, async (url) => {
      const { timeoutMs, signal: outer } = request;
      const began = performance.now();
      const addresses = await withDeadline(timeoutMs, (signal) => permitted(url, signal), outer);
      const leftMs = timeoutMs - (performance.now() - began);
      return exchange(url, { ...request, timeoutMs: leftMs, lookup: pinned(addresses) });
    });

  return Object.assign(ask, {
    check: (text: string, timeoutMs: number) =>
      named(text, async (url) => {
        await withDeadline(timeoutMs, (signal) => permitted(url, signal));
      }),
  });
}

/** Classifies errors as `OutboundError`. */
async function named<Result>(text: string, work: (url: URL) => Promise<Result>): Promise<Result> {
  if (!URL.canParse(text)) throw new OutboundError("address_refused", "it is not a URL");
  const url = new URL(text);
  try {
    return await work(url);
  } catch (error) {
    if (error instanceof OutboundError) throw error;
    const failure = failureOf(error);
    throw new OutboundError(failure, `${url.origin}: ${failure}`, error);
  }
}

function failureOf(error: unknown): OutboundFailure {
  if (error instanceof DeadlineExceeded) return "timeout";
  if (error instanceof AnswerTooLarge) return "too_large";
  return error instanceof ProtocolError ? "not_http" : "unreachable";
}

const refused = (url: URL, why: string) =>
  new OutboundError("address_refused", `${url.origin} is refused: ${why}`);

/** Only `unicast` is public. An IPv4 address inside an IPv6 one is judged as itself. */
function kindOf(address: string): string {
  if (!ipaddr.isValid(address)) return "invalid";
  const parsed = ipaddr.process(address);
  const kind = parsed.range();
  // Of IPv6, only 2000::/3 is allocated (RFC 4291); `::7f00:1` is 127.0.0.1 in an old notation.
  if (kind !== "unicast" || parsed.kind() === "ipv4") return kind;
  return (parsed.toByteArray()[0] ?? 0) >> 5 === 1 ? kind : "reserved";
}

/** A look-up function that always returns the checked addresses. */
const pinned =
  (addresses: readonly string[]): LookupFunction =>
  (_name, options, callback) => {
    const found = addresses.map((address) => ({ address, family: isIP(address) }));
    const [first] = found;
    if (options.all) callback(null, found);
    else callback(null, first?.address ?? "", first?.family);
  };
