import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

const parts = [
  "src",
  "build",
  "public",
  "index.html",
  "auth.html",
  "vite.config.ts",
  "package.json",
];

/** A hash of all that `dist` is made of: tells whether it is older than the sources. */
export function sourceHash(root: string): string {
  const hash = createHash("sha256");
  for (const path of parts.flatMap((part) => filesIn(join(root, part))).sort()) {
    hash
      .update(`${relative(root, path)}\0`)
      .update(readFileSync(path))
      .update("\0");
  }
  return hash.digest("hex");
}

function filesIn(path: string): string[] {
  try {
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return [path];
    throw error;
  }
}
