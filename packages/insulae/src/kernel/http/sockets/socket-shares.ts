/**
 * How many WebSockets may be open in a process, or in all workers of a node, and whose. An account with all its
 * tenants, or a tenant without one, may open one more while it has fewer than are free: alone it gets half of
 * all (1,000), a second one half of what is left (500), and so on. So one account leaves enough for others; the
 * seventh that takes all it can gets 16, and eleven of them leave none. No open WebSocket is closed for a newcomer.
 * A few are kept for platform administrators, who watch over all tenants.
 */
import { type AppError, defineError } from "../../lib/errors.ts";

export const tooManySockets = defineError(
  "too_many_sockets",
  429,
  "Too many WebSockets are open. Close one first.",
);

/** Whose a socket is. */
export interface SocketOwner {
  readonly person: string;
  /** Who share: the group of `holderOf()`. */
  readonly group: string;
  readonly isPlatformAdmin: boolean;
}

export interface SocketShares {
  /** Why the owner may not open one more; undefined: they may. */
  readonly refusal: (owner: SocketOwner) => AppError | undefined;
  /** Counts one more. @returns what counts it off. */
  readonly add: (owner: SocketOwner) => () => void;
}

/**
 * The other workers of the node. Each decides by what it has heard of the others, which is some milliseconds old:
 * handshakes that reach several workers at once may together exceed a limit, at worst as many times as there are
 * workers (24 at once of one person, at two workers: 12 instead of 10 got in).
 */
export interface SocketPeers {
  /** Tells them that one was opened (1) or closed (-1) here. */
  readonly changed: (owner: SocketOwner, by: 1 | -1) => void;
  /** Hears the same of theirs, and how many they have. */
  readonly follow: (onChanged: (owner: SocketOwner, by: number) => void) => void;
}

const maxOfPerson = 10;
/** One account alone may have a thousand. */
const maxOfTenants = 2_000;
const forAdministrators = 100;

export function createSocketShares(peers?: SocketPeers): SocketShares {
  const ofPersons = new Map<string, number>();
  const ofGroups = new Map<string, number>();
  let open = 0;

  const change = <K>(counts: Map<K, number>, key: K, by: number): void => {
    const count = (counts.get(key) ?? 0) + by;
    if (count === 0) counts.delete(key);
    else counts.set(key, count);
  };
  const count = ({ person, group }: SocketOwner, by: number): void => {
    open += by;
    change(ofPersons, person, by);
    change(ofGroups, group, by);
  };
  peers?.follow(count);
  const why = (detail: string) => tooManySockets({ detail });

  return {
    refusal({ person, group, isPlatformAdmin }) {
      if ((ofPersons.get(person) ?? 0) >= maxOfPerson) {
        return why(`One person can have ${maxOfPerson} WebSockets open. Close one first.`);
      }
      const free = maxOfTenants - open;
      if (isPlatformAdmin) {
        return free + forAdministrators > 0
          ? undefined
          : why(
              `A process can have ${maxOfTenants + forAdministrators} WebSockets open in all. Retry later.`,
            );
      }
      return (ofGroups.get(group) ?? 0) < free
        ? undefined
        : why(
            "The tenants of one account can have as many WebSockets open as are left free for others in the process. Close one first.",
          );
    },
    add(owner) {
      count(owner, 1);
      peers?.changed(owner, 1);
      return () => {
        count(owner, -1);
        peers?.changed(owner, -1);
      };
    },
  };
}
