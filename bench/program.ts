import { execFile } from "node:child_process";
import { promisify } from "node:util";

export interface ProgramOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to completion; it does not outlive this process.
 *
 * @param env replaces this process's environment
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<ProgramOutput> {
  const running = promisify(execFile)(command, args, { env });
  const abandon = () => running.child.kill("SIGKILL");
  process.on("exit", abandon);
  try {
    return await running;
  } finally {
    process.off("exit", abandon);
  }
}
