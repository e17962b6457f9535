import { findMisleading } from "../text.ts";
import { validationFailed } from "./errors.ts";

/**
 * Refuses a name that looks like another because of characters that nobody sees.
 *
 * @param pointer where the request has the name
 * @throws validationFailed
 */
export function refuseMisleading(name: string, pointer: string): void {
  const found = findMisleading(name);
  if (found === undefined) return;
  const message = `must not have the invisible or control character ${found}; remove it`;
  throw validationFailed({ errors: [{ pointer, message }] });
}
