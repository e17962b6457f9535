/**
 * The passwords that are tried first, in lower case: zxcvbn's list, some 49,000 out of published
 * leaks. NIST SP 800-63B, section 3.1.1.2, asks for such a list. Unpacking it takes about 90 ms, so it
 * is loaded when the first password is chosen, not at the start.
 */
export async function loadCommonPasswords(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import("@zxcvbn-ts/language-common");
  return new Set(dictionary["passwords-common"]);
}
