/** Builds the console into `dist/`: Vite, then compressed variants and the manifest by which the server serves it. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, extname, join, relative } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "vite";
import { checkBudget } from "./budget.ts";
import { sourceHash } from "./source-hash.ts";

const root = dirname(import.meta.dirname);
const dist = join(root, "dist");

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json",
};
const leastCompressed = 1024;

/** antd's styles are extracted as production has them. */
process.env.NODE_ENV = "production";
rmSync(dist, { recursive: true, force: true });
await build({ root, logLevel: "warn" });

const files: Record<string, object> = {};
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || entry.name.startsWith(".")) continue;
  const path = join(entry.parentPath, entry.name);
  const bytes = readFileSync(path);
  const smaller = bytes.length < leastCompressed ? {} : compress(path, bytes);
  files[relative(dist, path)] = {
    type: types[extname(path)] ?? "application/octet-stream",
    sha256: createHash("sha256").update(bytes).digest("hex"),
    bytes: bytes.length,
    ...smaller,
    immutable: relative(dist, path).startsWith("assets/"),
  };
}
checkBudget(dist, process.stdout);
// Last, and in one go: a server may be looking for it.
const manifest = join(dist, "manifest.json");
writeFileSync(
  `${manifest}.new`,
  `${JSON.stringify({ source: sourceHash(root), files }, null, 1)}\n`,
);
renameSync(`${manifest}.new`, manifest);

function compress(path: string, bytes: Buffer): { br: number; gzip: number } {
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 11 };
  const br = brotliCompressSync(bytes, { params: quality });
  const gzip = gzipSync(bytes, { level: 9 });
  writeFileSync(`${path}.br`, br);
  writeFileSync(`${path}.gz`, gzip);
  return { br: br.length, gzip: gzip.length };
}
