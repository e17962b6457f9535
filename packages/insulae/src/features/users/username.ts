import { defineError } from "../../kernel/lib/errors.ts";
import { normalised } from "../../kernel/lib/text.ts";

export const invalidUsername = defineError(
  "invalid_username",
  400,
  "The username is invalid. Use 1 to 64 characters: a-z and 0-9 and, except at the start, dots, underscores and hyphens.",
);

/**
 * The canonical form of a username: NFKC, lower case. It has no `@`, so it can't be confused with
 * an e-mail.
 *
 * @throws invalidUsername
 */
export function canonicalUsername(input: string): string {
  const username = normalised(input.trim()).toLowerCase();
  if (/^[a-z0-9][a-z0-9._-]{0,63}$/.test(username)) return username;
  throw invalidUsername({
    errors: [{ pointer: "/body/username", message: invalidUsername.title }],
  });
}
