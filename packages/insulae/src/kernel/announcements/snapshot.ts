/**
 * A copy of something in the database that must never be old: the signing keys, the sessions that
 * have ended. It is read whole; changes are announced, and what was read while announcements are
 * heard stays current until one comes. While none can be heard it is read again every second, by
 * whoever asks next.
 */
export interface KeptCurrent {
  /** Undefined while the copy is current; otherwise a promise that it is. */
  ready(): Promise<void> | undefined;
  /** The copy may be old from now on: something has changed. */
  stale(): void;
}

export interface KeptCurrentOptions {
  /** Reads the copy anew. */
  readonly load: () => Promise<void>;
  /** Subscribes to the announcements that make the copy old. @returns whether they are heard. */
  readonly follow: (stale: () => void) => () => boolean;
}

const believedUnheardMs = 1_000;

export function keepCurrent({ load, follow }: KeptCurrentOptions): KeptCurrent {
  let changes = 0;
  let copy: { readonly changes: number; readonly at: number; readonly heard: boolean } | undefined;
  let reading: Promise<void> | undefined;

  const stale = (): void => {
    changes += 1;
  };
  const listening = follow(stale);
  const isCurrent = (): boolean => {
    const heard = listening(); // First: if announcements are found unheard only now, the copy is stale.
    if (copy?.changes !== changes) return false;
    return (copy.heard && heard) || performance.now() - copy.at < believedUnheardMs;
  };

  const read = async (): Promise<void> => {
    do {
      const reading = { changes, at: performance.now(), heard: listening() };
      await load();
      copy = reading;
      // What changed while it was read may be in it or not.
    } while (copy.changes !== changes);
  };

  return {
    ready() {
      if (isCurrent()) return undefined;
      reading ??= read().finally(() => {
        reading = undefined;
      });
      return reading;
    },
    stale,
  };
}
