/** The pool's users as people who sign in, all with the same password. */
import { createPasswords } from "../packages/insulae/src/kernel/identity/passwords.ts";

export const password = "a fine passphrase of the benchmark";
export const userEmail = "user@bench.example";

/** Of the server's own algorithm and cost. */
export const hashOfPassword = (): Promise<string> => createPasswords().hash(password);

/**
 * Signs in over HTTP.
 *
 * @param ordinal the tenant's; undefined: as an account, outside tenants
 * @throws Error with the server's response
 */
export async function signIn(
  baseUrl: string,
  ordinal: number | undefined,
  email = userEmail,
): Promise<string> {
  const answer = await fetch(`${baseUrl}/api/v1/auth/login`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(ordinal !== undefined && { "x-tenant": `bench-${ordinal}` }),
    },
    body: JSON.stringify({ email, password }),
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`signing in: ${answer.status} ${text}`);
  return JSON.parse(text).access_token;
}
