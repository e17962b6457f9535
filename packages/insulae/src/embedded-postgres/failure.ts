/** The embedded PostgreSQL can't run; the message says why and what to do. */
export class EmbeddedError extends Error {
  override readonly name = "EmbeddedError";
}

const ownDatabase = "or set DATABASE_URL to use a PostgreSQL of your own.";

/** Explains an operating-system error, with a remedy. */
export function explainSystemError(error: unknown, doing: string, path: string): Error {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const remedy = typeof code === "string" ? remedies[code] : undefined;
  if (remedy === undefined) return error instanceof Error ? error : new Error(String(error));
  return new EmbeddedError(`Cannot ${doing} ${path}: ${remedy}`, { cause: error });
}

const remedies: Readonly<Record<string, string>> = {
  EACCES: `no permission. Run as its owner, set DATA_DIR to another folder, ${ownDatabase}`,
  EPERM: `not permitted. Run as its owner, set DATA_DIR to another folder, ${ownDatabase}`,
  EROFS: `the file system is read-only. Set DATA_DIR to a writable folder, ${ownDatabase}`,
  ENOSPC: "the disk is full. Free some space, or set DATA_DIR to a folder on another disk.",
  EDQUOT:
    "the disk quota is used up. Free some space, or set DATA_DIR to a folder on another disk.",
  ENOENT: "it can't be created there (a read-only disk?). Set DATA_DIR to a writable folder.",
  EEXIST: "a file of that name is in the way. Remove it, or set DATA_DIR to another folder.",
  ENOTDIR: "part of the path is a file. Set DATA_DIR to another folder.",
};

/** The same for a program that could not be started. */
export function explainRunError(error: unknown, program: string): Error {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const reason =
    code === "ENOENT"
      ? "this system lacks its libraries (it needs glibc, which Alpine does not have). Use another system,"
      : "its user may not run it. Run as another user (in a container: not as root),";
  return new EmbeddedError(`Cannot run ${program}: ${reason} ${ownDatabase}`, { cause: error });
}

/** Explains the last output of `initdb` or `postgres`, with a remedy. */
export function explainOutput(program: string, output: string, folder: string): EmbeddedError {
  const known = symptoms.find(([pattern]) => pattern.test(output));
  const advice = known === undefined ? "" : ` ${known[1]}`;
  const lines = output.trim().split("\n").slice(-8).join("\n  ");
  return new EmbeddedError(
    `The embedded PostgreSQL (${program}) in ${folder} did not start.${advice}\n  ${lines}`,
  );
}

const symptoms: readonly (readonly [RegExp, string])[] = [
  [
    /No space left on device|Disk quota exceeded/,
    "The disk is full. Free some space and start again.",
  ],
  [/Permission denied/, "Its user may not read or write a file; see below."],
  [
    /could not look up effective user ID/,
    "Its user needs a name: add an entry to /etc/passwd, run as another user, or set DATABASE_URL.",
  ],
  [/could not bind IPv4 address/, "The port is taken. Choose another one, or none."],
  [
    /error while loading shared libraries|not found \(required by/,
    "Its programs need glibc 2.28 or later. Use such a system (Debian, Ubuntu, Fedora), or set DATABASE_URL.",
  ],
];
