/**
 * Takes e-mails in turns: a round has one e-mail of each tenant with one due, and one of the
 * platform. However many one tenant has queued, another's waits at most for one round. A tenant
 * occupies at most `share` senders of this process, so that slow deliveries leave senders for the
 * others.
 */
import type { Kysely } from "kysely";
import type { ControlTables } from "../schema/control-tables.ts";
import { listTurns, noTurn, type TakenMail, takeDue } from "./queue.ts";

export interface MailTurns {
  /** Takes the next e-mail; undefined: none is due, or its tenant has reached its share. */
  take(): Promise<TakenMail | undefined>;
  /** Call this when the e-mail has been handled. */
  release(mail: TakenMail): void;
}

export interface MailTurnsOptions {
  readonly control: Kysely<ControlTables>;
  readonly leaseMs: number;
  /** How many e-mails of one tenant may be in progress at once. */
  readonly share: number;
}

const roundLength = 100;

export function createMailTurns({ control, leaseMs, share }: MailTurnsOptions): MailTurns {
  const underWay = new Map<string, number>();
  let round: string[] = [];
  let last = noTurn;

  const add = (turn: string, by: 1 | -1): void => {
    const now = (underWay.get(turn) ?? 0) + by;
    if (now === 0) underWay.delete(turn);
    else underWay.set(turn, now);
  };

  const takeFromRound = async (): Promise<TakenMail | undefined> => {
    for (let turn = round.shift(); turn !== undefined; turn = round.shift()) {
      if ((underWay.get(turn) ?? 0) >= share) continue;
      last = turn;
      // Reserve before taking, because several senders take concurrently.
      add(turn, 1);
      const mail = await takeDue(control, turn, leaseMs).catch((error: unknown) => {
        add(turn, -1);
        throw error;
      });
      if (mail) return mail;
      add(turn, -1);
    }
    return undefined;
  };

  return {
    async take() {
      const mail = await takeFromRound();
      if (mail) return mail;
      for (const after of new Set([last, noTurn])) {
        round = await listTurns(control, after, roundLength);
        const further = await takeFromRound();
        if (further) return further;
      }
      return undefined;
    },
    release: ({ turn }) => add(turn, -1),
  };
}
