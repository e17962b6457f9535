/**
 * DNS queries by our own resolver. The operating system's look-ups can't be cancelled, and each
 * occupies one of the few threads that also hash passwords and read files. A name chosen by
 * somebody else, whose name servers may never respond, must not block those.
 */
import { Resolver } from "node:dns/promises";
import { withDeadline } from "../lib/deadline.ts";
import { defineError } from "../lib/errors.ts";

export const dnsUnavailable = defineError(
  "dns_unavailable",
  503,
  "The DNS does not respond. Try again later.",
);

/** The DNS queries that proofs of ownership need. */
export interface Dns {
  /** The TXT records of a name, each as one string; empty if the name does not exist. */
  txt(name: string): Promise<readonly string[]>;
}

export interface DnsOptions {
  /** Default: the machine's name servers. */
  readonly servers?: readonly string[];
  /** For a query in total, however many servers are asked. */
  readonly timeoutMs?: number;
}

/** Lost packets are resent early enough for a deadline of a few seconds. */
const askAgain = { timeout: 1_500, tries: 3 };
const nothing = new Set(["ENOTFOUND", "ENODATA"]);

/** Queries the machine's name servers, for at most five seconds. @throws dnsUnavailable */
export function createDns({ servers, timeoutMs = 5_000 }: DnsOptions = {}): Dns {
  return {
    async txt(name) {
      try {
        const found = await withDeadline(timeoutMs, (signal) =>
          openResolver(signal, servers).resolveTxt(name),
        );
        // A record over 255 bytes is split into strings that belong together (RFC 7208, section
        // 3.3).
        return found.map((pieces) => pieces.join(""));
      } catch (error) {
        if (isNothing(error)) return [];
        throw dnsUnavailable({ headers: { "retry-after": "30" }, cause: error });
      }
    },
  };
}

/**
 * All addresses of a name, from the DNS only: names in a hosts file are unknown.
 *
 * @throws Error if there are none, or the DNS does not respond before the signal
 */
export async function lookUpAddresses(
  name: string,
  signal: AbortSignal,
  servers?: readonly string[],
): Promise<readonly string[]> {
  // The local machine without any query, as in RFC 6761.
  if (/(^|\.)localhost\.?$/i.test(name)) return ["127.0.0.1", "::1"];
  const resolver = openResolver(signal, servers);
  const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  const addresses = found.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
  if (addresses.length > 0) return addresses;
  throw new Error(`the DNS has no address for ${name}`, {
    cause: found.map((each) => (each.status === "rejected" ? each.reason : undefined)),
  });
}

function openResolver(signal: AbortSignal, servers?: readonly string[]): Resolver {
  const resolver = new Resolver(askAgain);
  if (servers) resolver.setServers(servers);
  signal.addEventListener("abort", () => resolver.cancel(), { once: true });
  return resolver;
}

const isNothing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && nothing.has(String(error.code));
