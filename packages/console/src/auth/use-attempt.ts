import { useState } from "react";
import { useText } from "../lib/i18n.ts";
import { Refused } from "./call.ts";
import { texts } from "./texts.ts";

/** A form's work: once at a time, with what went wrong in words. */
export function useAttempt() {
  const t = useText(texts);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string>();

  const inWords = (error: unknown): string => {
    if (!(error instanceof Refused)) {
      return error instanceof TypeError ? t.unreachable : String((error as Error).message ?? error);
    }
    const { problem, retryAfterSeconds } = error;
    if (problem.code === "rate_limit_exceeded") return t.tooMany(retryAfterSeconds);
    const fields = problem.errors ?? [];
    if (fields.length === 0) return problem.detail ?? problem.title;
    return fields
      .map(
        ({ pointer, message }) => `${pointer.split("/").at(-1)?.replaceAll("_", " ")}: ${message}`,
      )
      .join(". ");
  };

  const attempt = async (work: () => Promise<void>): Promise<void> => {
    if (busy) return;
    setBusy(true);
    setWrong(undefined);
    try {
      await work();
    } catch (error) {
      setWrong(inWords(error));
    } finally {
      setBusy(false);
    }
  };
  return { busy, wrong, attempt };
}
