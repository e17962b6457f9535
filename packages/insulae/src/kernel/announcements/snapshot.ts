/**
 * A copy of database content that must never be stale: the signing keys, the ended sessions. It is
 * loaded as a whole and reloaded after an announcement of a change. While announcements can't be
 * received, it is reloaded every second, on demand.
 */
export interface KeptCurrent {
  /** Undefined while the copy is current; otherwise a promise that resolves when it is. */
  ready(): Promise<void> | undefined;
  /** Marks the copy as stale. */
  stale(): void;
}

export interface KeptCurrentOptions {
  /** Loads the copy. */
  readonly load: () => Promise<void>;
  /**
   * Subscribes to the announcements that make the copy stale. @returns whether they are received
   */
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
    const heard = listening(); // First, because this may find the copy stale.
    if (copy?.changes !== changes) return false;
    return (copy.heard && heard) || performance.now() - copy.at < believedUnheardMs;
  };

  const read = async (): Promise<void> => {
    do {
      const reading = { changes, at: performance.now(), heard: listening() };
      await load();
      copy = reading;
      // A change during the load may or may not be included.
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
