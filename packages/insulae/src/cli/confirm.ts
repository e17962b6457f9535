import { CommandError, exitCodes } from "../doctor/failure.ts";
import type { CommandContext } from "./command.ts";

export interface Question {
  /** What is about to happen, in one sentence. */
  readonly message: string;
  /** The text that has to be typed; without it, a yes/no question. */
  readonly answer?: string;
}

/**
 * Asks for confirmation.
 *
 * @throws CommandError `input_needed` (4) if there is no terminal to ask on, `not_confirmed` (5) if
 * the answer is no
 */
export async function confirm(
  { json, note }: CommandContext,
  yes: boolean,
  { message, answer }: Question,
): Promise<void> {
  if (yes) return;
  if (json || !process.stdin.isTTY || !process.stderr.isTTY) {
    const text = `${message} There is no terminal to ask on: repeat the command with --yes.`;
    throw new CommandError("input_needed", text, exitCodes.inputNeeded);
  }
  const prompts = await import("@clack/prompts");
  const output = process.stderr;
  note("");
  const reply =
    answer === undefined
      ? await prompts.confirm({ message, initialValue: false, output })
      : await prompts.text({ message: `${message} Type ${answer} to continue:`, output });
  if (reply === true || (answer !== undefined && reply === answer)) return;
  throw new CommandError("not_confirmed", "Nothing was changed.", exitCodes.refused);
}
