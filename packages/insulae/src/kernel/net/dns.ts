/**
 * The DNS, asked by ourselves: the operating system's look-ups can't be cancelled, and each holds one
 * of the few threads on which the process also hashes passwords and reads files. So a name whose
 * servers are silent must never get there if somebody else has chosen it.
 */
import { Resolver } from "node:dns/promises";
import { withDeadline } from "../lib/deadline.ts";
import { defineError } from "../lib/errors.ts";

export const dnsUnavailable = defineError(
  "dns_unavailable",
  503,
  "The DNS does not respond. Try again later.",
);

/** The part of the DNS that proofs of ownership need. */
export interface Dns {
  /** The TXT records of a name, each as one text; none where there is no such name. */
  txt(name: string): Promise<readonly string[]>;
}

export interface DnsOptions {
  /** Default: the machine's. */
  readonly servers?: readonly string[];
  /** For an answer, however many servers are asked for it, and how often. */
  readonly timeoutMs?: number;
}

/** A question that gets lost is repeated early enough for a deadline of a few seconds. */
const askAgain = { timeout: 1_500, tries: 3 };
const nothing = new Set(["ENOTFOUND", "ENODATA"]);

/** Asks the machine's name servers, for five seconds. @throws dnsUnavailable */
export function createDns({ servers, timeoutMs = 5_000 }: DnsOptions = {}): Dns {
  return {
    async txt(name) {
      try {
        const found = await withDeadline(timeoutMs, (signal) =>
          openResolver(signal, servers).resolveTxt(name),
        );
        // A record over 255 bytes comes in pieces that are one text (RFC 7208, section 3.3).
        return found.map((pieces) => pieces.join(""));
      } catch (error) {
        if (isNothing(error)) return [];
        throw dnsUnavailable({ headers: { "retry-after": "30" }, cause: error });
      }
    },
  };
}

/**
 * All addresses of a name. Nothing but the DNS is asked, so that names in a hosts file are unknown.
 *
 * @throws Error if there are none, or the DNS does not answer before the signal.
 */
export async function lookUpAddresses(
  name: string,
  signal: AbortSignal,
  servers?: readonly string[],
): Promise<readonly string[]> {
  // This machine, as RFC 6761 has it, and no server is asked for it.
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
