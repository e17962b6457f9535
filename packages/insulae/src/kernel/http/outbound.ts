/**
 * Requests to addresses that a tenant has chosen: an OpenID Connect provider, a webhook. Whoever may
 * choose an address could make this server ask its own network (SSRF). So:
 *
 *     URL ─► https? ─► name → all its addresses ─► every one public? ─► connect to those, by address
 *
 * The name is looked up once, and the connection goes to what was checked (pinned), so that a second
 * answer of the DNS (rebinding) is never used. A redirect is never followed: it is an answer like any
 * other, for the caller to refuse. Time and size have a bound, from the first byte to the last.
 */
import { lookup as lookUp } from "node:dns/promises";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";

export interface OutboundOptions {
  /** Whether this machine itself may be asked, and without TLS: for development and tests. */
  readonly allowLoopback: boolean;
  /** All addresses of a name; default: as the operating system knows them. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
}

export interface OutboundRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | undefined;
  /** From the look-up of the name to the last byte. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** Whether of an answer that is too large the beginning is enough. */
  readonly cut?: boolean;
  /** Aborts where nobody wants the answer any more. */
  readonly signal?: AbortSignal | undefined;
}

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

export type OutboundFailure = "address_refused" | "unreachable" | "timeout" | "too_large";

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
  resolve = systemAddresses,
}: OutboundOptions): Outbound {
  /** The addresses of the URL's host, all of which may be asked. */
  const permitted = async (url: URL): Promise<readonly string[]> => {
    if (!/^https?:$/.test(url.protocol) || url.username || url.password) {
      throw refused(url, "it is no https address");
    }
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const addresses = isIP(host) ? [host] : await resolve(host);
    const kinds = addresses.map(kindOf);
    const fit = kinds.every((kind) => kind === "unicast" || (allowLoopback && kind === "loopback"));
    if (kinds.length === 0 || !fit) throw refused(url, "it is not a public address");
    if (url.protocol === "http:" && !kinds.every((kind) => kind === "loopback")) {
      throw refused(url, "it is not https");
    }
    return addresses;
  };

  /** Gives the work the time that it has, and what it throws a name. */
  const within = async <Result>(
    text: string,
    timeoutMs: number,
    work: (url: URL, signal: AbortSignal) => Promise<Result>,
    ending?: AbortSignal,
  ): Promise<Result> => {
    if (!URL.canParse(text)) throw new OutboundError("address_refused", "it is no URL");
    const url = new URL(text);
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      return await work(url, ending ? AbortSignal.any([timeout, ending]) : timeout);
    } catch (error) {
      if (error instanceof OutboundError) throw error;
      const failure = timeout.aborted ? "timeout" : "unreachable";
      throw new OutboundError(failure, `${url.origin}: ${failure}`, error);
    }
  };

  const ask = (text: string, request: OutboundRequest) => {
    const { timeoutMs, maxBytes, cut, signal: ending, ...message } = request;
    return within(
      text,
      timeoutMs,
      async (url, signal) => {
        const addresses = await bounded(permitted(url), signal);
        const answer = await send(url, { ...message, addresses, signal });
        return readAll(answer, maxBytes, cut);
      },
      ending,
    );
  };

  return Object.assign(ask, {
    check: (text: string, timeoutMs: number) =>
      within(text, timeoutMs, async (url, signal) => {
        await bounded(permitted(url), signal);
      }),
  });
}

const refused = (url: URL, why: string) =>
  new OutboundError("address_refused", `${url.origin} is not asked: ${why}`);

const systemAddresses = async (name: string): Promise<readonly string[]> =>
  (await lookUp(name, { all: true })).map(({ address }) => address);

/** `unicast` is the one kind that is public; an IPv4 address inside an IPv6 one counts as itself. */
function kindOf(address: string): string {
  if (!ipaddr.isValid(address)) return "invalid";
  const parsed = ipaddr.process(address);
  const kind = parsed.range();
  // Of IPv6, only 2000::/3 has been given out (RFC 4291); `::7f00:1` is 127.0.0.1 in an old form.
  if (kind !== "unicast" || parsed.kind() === "ipv4") return kind;
  return (parsed.toByteArray()[0] ?? 0) >> 5 === 1 ? kind : "reserved";
}

/** A look-up can't be cancelled, only left alone. */
function bounded<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((fulfil, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    promise.then(fulfil, reject);
  });
}

interface Sending extends Pick<OutboundRequest, "method" | "headers" | "body"> {
  readonly addresses: readonly string[];
  readonly signal: AbortSignal;
}

function send(url: URL, { addresses, signal, method, headers, body }: Sending) {
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise<IncomingMessage>((fulfil, reject) => {
    request(
      url,
      // No agent: a connection that is kept open was pinned for another request.
      { method, headers: { ...headers }, signal, agent: false, lookup: pinned(addresses) },
      fulfil,
    )
      .on("error", reject)
      .end(body);
  });
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

async function readAll(answer: IncomingMessage, maxBytes: number, cut = false): Promise<Response> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > maxBytes && cut) {
      chunks.push(bytes.subarray(0, maxBytes - (size - bytes.length)));
      answer.destroy();
      break;
    }
    if (size > maxBytes) {
      answer.destroy();
      throw new OutboundError("too_large", `the answer has more than ${maxBytes} bytes`);
    }
    chunks.push(bytes);
  }
  const { statusCode: status = 502, headers } = answer;
  const empty = status === 204 || status === 205 || status === 304;
  return new Response(empty ? null : Buffer.concat(chunks), {
    status,
    headers: Object.entries(headers).flatMap(([name, value]) =>
      [value ?? []].flat().map((one): [string, string] => [name, one]),
    ),
  });
}
