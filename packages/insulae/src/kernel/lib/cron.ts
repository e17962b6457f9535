/** Cron expressions of five fields (`"0 3 * * *"`), in UTC. */
import { Cron } from "croner";

/**
 * @returns the next time after `from`; undefined if there is none (`"0 0 30 2 *"`)
 * @throws Error if it is no such expression
 */
export function nextTime(expression: string, from: Date): Date | undefined {
  // Croner knows more forms: dates, names such as @daily.
  if (expression.split(" ").length !== 5) throw new Error("it has to have five fields");
  // A step after a number (5/15) begins there.
  const cron = new Cron(expression, { mode: "5-part", utcOffset: 0, sloppyRanges: true });
  return cron.nextRun(from) ?? undefined;
}
