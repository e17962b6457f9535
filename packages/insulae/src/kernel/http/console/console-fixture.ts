/** A built console of a few files, in the form in which the console's build leaves it. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { onTestFinished } from "vitest";

const page = (name: string) => `<!doctype html>
<html lang="en"><head><base href="/console/" /><title>${name}</title>
<script type="module" src="./assets/${name}-a1b2c3d4.js"></script></head>
<body><div id="root"></div><!-- ${"x".repeat(1_100)} --></body></html>
`;

const contents: Readonly<Record<string, readonly [type: string, text: string]>> = {
  "index.html": ["text/html; charset=utf-8", page("main")],
  "auth.html": ["text/html; charset=utf-8", page("auth")],
  "favicon.svg": ["image/svg+xml", "<svg/>"],
  "theme.js": ["text/javascript; charset=utf-8", "document.documentElement.dataset.theme = '';"],
  "assets/main-a1b2c3d4.js": ["text/javascript; charset=utf-8", "main();".repeat(1_000)],
  "assets/auth-a1b2c3d4.js": ["text/javascript; charset=utf-8", "auth();".repeat(1_000)],
};

/** @returns the folder, and `build`, which writes the files (again), with another title if one is given */
export function consoleFixture() {
  const folder = mkdtempSync(join(tmpdir(), "insulae-console-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const build = (title = "main"): void => {
    const files: Record<string, object> = {};
    for (const [name, [type, text]] of Object.entries(contents)) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      const bytes = Buffer.from(text.replace("<title>main", `<title>${title}`));
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const about = { type, sha256, bytes: bytes.length, immutable: name.startsWith("assets/") };
      writeFileSync(path, bytes);
      if (bytes.length < 1_024) {
        files[name] = about;
        continue;
      }
      const [br, gzip] = [brotliCompressSync(bytes), gzipSync(bytes)];
      writeFileSync(`${path}.br`, br);
      writeFileSync(`${path}.gz`, gzip);
      files[name] = { ...about, br: br.length, gzip: gzip.length };
    }
    writeFileSync(join(folder, "manifest.json"), JSON.stringify({ source: "none", files }));
  };
  return { folder, build };
}
