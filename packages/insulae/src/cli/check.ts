import { explain } from "./failure.ts";

/** One thing that `insulae doctor` looked at. */
export interface Check {
  readonly name: string;
  readonly state: "ok" | "warning" | "failure";
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export const ok = (name: string, message: string): Check => ({ name, state: "ok", message });

export const warning = (name: string, message: string, remedy: string): Check => ({
  ...{ name, state: "warning", message, remedy },
});

export const failure = (name: string, message: string, remedy: string): Check => ({
  ...{ name, state: "failure", message, remedy },
});

/** What can't even be looked at is a finding too. */
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
