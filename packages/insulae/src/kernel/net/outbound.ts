/**
 * Requests to addresses that a tenant has chosen: an OpenID Connect provider, a webhook. Whoever may
 * choose an address could make this server ask its own network (SSRF). So:
 *
 *     URL ─► https? ─► name → all its addresses ─► every one public? ─► connect to those, by address
 *
 * The name is looked up once, and the connection goes to what was checked (pinned), so that a second
 * answer of the DNS (rebinding) is never used. A redirect is never followed: it is an answer like any
 * other, for the caller to refuse. Time and size have a bound (see `exchange.ts`).
 */
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { DeadlineExceeded, withDeadline } from "../lib/deadline.ts";
import { lookUpAddresses } from "./dns.ts";
import { AnswerTooLarge, type ExchangeRequest, exchange, ProtocolError } from "./exchange.ts";

export interface OutboundOptions {
  /** Whether this machine itself may be asked, and without TLS: for development and tests. */
  readonly allowLoopback: boolean;
  /** All addresses of a name; default: as the DNS knows them. */
  readonly resolve?: (name: string, signal: AbortSignal) => Promise<readonly string[]>;
}

/** `timeoutMs` is from the look-up of the name to the last byte. */
export type OutboundRequest = Omit<ExchangeRequest, "lookup">;

export interface Outbound {
  /** @throws OutboundError */
  (url: string, request: OutboundRequest): Promise<Response>;
  /**
   * Looks up where the URL leads now, without asking there: for when it is configured. What it leads
   * to later is looked at by each request.
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
  /** The server speaks, but doesn't answer as HTTP asks for. */
  | "not_http";

/** Nothing came back. The message is for logs: it may say what is in the network. */
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
  /** The addresses of the URL's host, all of which may be asked. */
  const permitted = async (url: URL, signal: AbortSignal): Promise<readonly string[]> => {
    if (!/^https?:$/.test(url.protocol) || url.username || url.password) {
      throw refused(url, "it is no https address");
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

/** Gives what the work throws a name. */
async function named<Result>(text: string, work: (url: URL) => Promise<Result>): Promise<Result> {
  if (!URL.canParse(text)) throw new OutboundError("address_refused", "it is no URL");
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
  new OutboundError("address_refused", `${url.origin} is not asked: ${why}`);

/** `unicast` is the one kind that is public; an IPv4 address inside an IPv6 one counts as itself. */
function kindOf(address: string): string {
  if (!ipaddr.isValid(address)) return "invalid";
  const parsed = ipaddr.process(address);
  const kind = parsed.range();
  // Of IPv6, only 2000::/3 has been given out (RFC 4291); `::7f00:1` is 127.0.0.1 in an old form.
  if (kind !== "unicast" || parsed.kind() === "ipv4") return kind;
  return (parsed.toByteArray()[0] ?? 0) >> 5 === 1 ? kind : "reserved";
}

/** Answers whatever is looked up with the addresses that were checked. */
const pinned =
  (addresses: readonly string[]): LookupFunction =>
  (_name, options, callback) => {
    const found = addresses.map((address) => ({ address, family: isIP(address) }));
    const [first] = found;
    if (options.all) callback(null, found);
    else callback(null, first?.address ?? "", first?.family);
  };
