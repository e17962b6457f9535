import type { CommandContext } from "./command.ts";
import { CommandError, exitCodes } from "./failure.ts";

export interface Question {
  /** What is about to happen, in a sentence. */
  readonly message: string;
  /** What has to be typed; without it, yes or no is asked. */
  readonly answer?: string;
}

/**
 * Asks whether to go on.
 *
 * @throws CommandError `input_needed` (4) if nobody is there to be asked, `not_confirmed` (5) if the
 *   answer is no.
 */
export async function confirm(
  { json, note }: CommandContext,
  yes: boolean,
  { message, answer }: Question,
): Promise<void> {
  if (yes) return;
  if (json || !process.stdin.isTTY || !process.stderr.isTTY) {
    const text = `${message} Nobody is there to be asked: repeat it with --yes.`;
    throw new CommandError("input_needed", text, exitCodes.inputNeeded);
  }
  const prompts = await import("@clack/prompts");
  const output = process.stderr;
  note("");
  const reply =
    answer === undefined
      ? await prompts.confirm({ message, initialValue: false, output })
      : await prompts.text({ message: `${message} Type ${answer} to go on:`, output });
  if (reply === true || (answer !== undefined && reply === answer)) return;
  throw new CommandError("not_confirmed", "Nothing was changed.", exitCodes.refused);
}
