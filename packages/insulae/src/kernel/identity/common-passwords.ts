/**
 * Common passwords in lower case: zxcvbn's list, some 49,000 from published leaks, as NIST SP
 * 800-63B, section 3.1.1.2, requires. Unpacking takes about 90 ms, so the list is loaded when the
 * first password is chosen.
 */
export async function loadCommonPasswords(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import("@zxcvbn-ts/language-common");
  return new Set(dictionary["passwords-common"]);
}
