import { setTimeout as sleep } from "node:timers/promises";

/** After the first attempt; six seconds in all. */
const retries = 6;

/**
 * Notes what has been done outside, such as a message that was sent: it shall not be done twice because
 * the database was away for a moment.
 *
 * @param isWorthIt whether to go on. @throws what the last attempt threw
 */
export async function keepTrying<Result>(
  note: () => Promise<Result>,
  isWorthIt: () => boolean = () => true,
): Promise<Result> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await note();
    } catch (error) {
      if (failures === retries || !isWorthIt()) throw error;
      await sleep(100 * 2 ** failures, undefined, { ref: false });
    }
  }
}
