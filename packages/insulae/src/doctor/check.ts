import type { Check } from "../kernel/model/diagnosis.ts";
import { explain } from "./failure.ts";

export type { Check };

export const ok = (name: string, message: string): Check => ({ name, state: "ok", message });

export const warning = (name: string, message: string, remedy: string): Check => ({
  ...{ name, state: "warning", message, remedy },
});

export const failure = (name: string, message: string, remedy: string): Check => ({
  ...{ name, state: "failure", message, remedy },
});

/** Runs a check. If it throws, that is a finding too. */
export async function look(
  name: string,
  remedy: string,
  fn: () => Check | readonly Check[] | Promise<Check | readonly Check[]>,
): Promise<readonly Check[]> {
  try {
    return [await fn()].flat();
  } catch (error) {
    return [failure(name, explain(error).message, remedy)];
  }
}
