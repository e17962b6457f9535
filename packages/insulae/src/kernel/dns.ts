import { Resolver } from "node:dns/promises";
import { defineError } from "./errors.ts";

export const dnsUnavailable = defineError(
  "dns_unavailable",
  503,
  "The DNS can't be asked at present; try again later",
);

/** The part of the DNS that proofs of ownership need. */
export interface Dns {
  /** The TXT records of a name, each as one text; none where there is no such name. */
  txt(name: string): Promise<readonly string[]>;
}

const nothing = new Set(["ENOTFOUND", "ENODATA"]);

/** Asks the machine's name servers, for three seconds twice. @throws dnsUnavailable */
export function createDns(): Dns {
  return {
    async txt(name) {
      const resolver = new Resolver({ timeout: 3_000, tries: 2 });
      try {
        // A record over 255 bytes comes in pieces that are one text (RFC 7208, section 3.3).
        return (await resolver.resolveTxt(name)).map((pieces) => pieces.join(""));
      } catch (error) {
        if (error instanceof Error && "code" in error && nothing.has(String(error.code))) return [];
        throw dnsUnavailable({ headers: { "retry-after": "30" }, cause: error });
      }
    },
  };
}
