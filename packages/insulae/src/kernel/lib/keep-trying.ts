import { setTimeout as sleep } from "node:timers/promises";

/** After the first attempt; six seconds in total. */
const retries = 6;

/**
 * Retries recording something that has happened outside, such as a sent message, so that a short
 * database outage does not cause it to be done twice.
 *
 * @param isWorthIt whether to continue
 * @throws the error of the last attempt
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
