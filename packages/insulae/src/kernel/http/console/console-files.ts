/**
 * The files of the built console, as its manifest lists them. Each is read when it is first asked for and then held in
 * memory, about 3 MB in all. A name is only ever looked up in the manifest: no path is made of what a client sends.
 */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { escapeHtml } from "../../lib/html.ts";

/** `dist/manifest.json`, which the console's build writes. */
export interface ConsoleManifest {
  /** The hash of the sources that it was built from. */
  readonly source: string;
  /** By their names below `dist/`. Without `br` or `gzip` there is no such variant. */
  readonly files: Readonly<
    Record<
      string,
      {
        readonly type: string;
        readonly sha256: string;
        readonly bytes: number;
        readonly br?: number;
        readonly gzip?: number;
        /** Whether the name has a hash of the content in it. */
        readonly immutable: boolean;
      }
    >
  >;
}

export type Encoding = "br" | "gzip" | "identity";

export interface ConsoleFile {
  readonly type: string;
  readonly immutable: boolean;
  readonly isPage: boolean;
  readonly encodings: ReadonlySet<Encoding>;
  /** Of one encoding: each is a representation of its own. */
  etag(encoding: Encoding): string;
  body(encoding: Encoding): Buffer;
}

/** @returns undefined if there is no such file, or if the console is not built yet */
export type FindConsoleFile = (name: string) => ConsoleFile | undefined;

export interface ConsoleFilesOptions {
  /** Where `manifest.json` is. */
  readonly folder: string;
  /** Where browsers find the console: the path of PUBLIC_URL and `/console/`. */
  readonly path: string;
  /** Whether it may be built anew while the server runs, which shows with the next page. Default false. */
  readonly mayChange?: boolean;
}

export function createConsoleFiles(options: ConsoleFilesOptions): FindConsoleFile {
  let built: { readonly at: number; readonly files: ReadonlyMap<string, ConsoleFile> } | undefined;
  const look = (): void => {
    const manifest = join(options.folder, "manifest.json");
    const at = statSync(manifest, { throwIfNoEntry: false })?.mtimeMs;
    if (at === undefined) built = undefined;
    else if (built?.at !== at) built = { at, files: filesOf(manifest, options) };
  };
  return (name) => {
    if (!built || options.mayChange) look();
    return built?.files.get(name);
  };
}

function filesOf(manifest: string, { folder, path }: ConsoleFilesOptions) {
  // Our own build has written it.
  const { files } = JSON.parse(readFileSync(manifest, "utf8")) as ConsoleManifest;
  return new Map(
    Object.entries(files).map(([name, { type, sha256, br, gzip, immutable }]) => {
      const isPage = type.startsWith("text/html");
      const encodings = new Set<Encoding>([
        "identity",
        ...(br === undefined ? [] : ["br" as const]),
        ...(gzip === undefined ? [] : ["gzip" as const]),
      ]);
      const read = (suffix: string) => readFileSync(join(folder, `${name}${suffix}`));
      const page = once(() => movedTo(path, read("").toString("utf8")));
      const bodies: Readonly<Record<Encoding, () => Buffer>> = isPage
        ? {
            identity: page,
            br: once(() => brotliCompressSync(page())),
            gzip: once(() => gzipSync(page())),
          }
        : {
            identity: once(() => read("")),
            br: once(() => read(".br")),
            gzip: once(() => read(".gz")),
          };
      const hash = once(() =>
        (isPage
          ? createHash("sha256").update(page()).digest()
          : Buffer.from(sha256, "hex")
        ).toString("base64url"),
      );
      const file: ConsoleFile = {
        ...{ type, immutable, isPage, encodings },
        etag: (encoding) =>
          `"${hash().slice(0, 22)}${encoding === "identity" ? "" : `-${encoding}`}"`,
        body: (encoding) => bodies[encoding](),
      };
      return [name, file] as const;
    }),
  );
}

const builtBase = '<base href="/console/"';

/** Everything in the page is relative to its base. */
function movedTo(path: string, page: string): Buffer {
  if (!page.includes(builtBase)) throw new Error(`the console's page lacks ${builtBase}>`);
  return Buffer.from(page.replace(builtBase, () => `<base href="${escapeHtml(path)}"`));
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/**
 * The smallest encoding that the client takes (RFC 9110, 12.5.3): `br`, then `gzip`, then none.
 *
 * @example encodingFor("gzip, br;q=0", new Set(["br", "gzip", "identity"])) === "gzip"
 */
export function encodingFor(
  accepted: string | undefined,
  offered: ReadonlySet<Encoding>,
): Encoding {
  const wanted = new Map(
    (accepted ?? "").split(",").map((each) => {
      const [name = "", ...parameters] = each.toLowerCase().split(";");
      const refused = parameters.some((parameter) => /^\s*q=0(\.0{0,3})?\s*$/.test(parameter));
      return [name.trim(), !refused] as const;
    }),
  );
  const takes = (encoding: Encoding) =>
    offered.has(encoding) && (wanted.get(encoding) ?? wanted.get("*") ?? false);
  return takes("br") ? "br" : takes("gzip") ? "gzip" : "identity";
}

/** Whether the client has it already (RFC 9110, 13.1.2): a proxy that compresses makes a tag weak. */
export const isKnown = (ifNoneMatch: string | undefined, etag: string): boolean =>
  (ifNoneMatch ?? "").split(",").some((each) => {
    const tag = each.trim().replace(/^W\//, "");
    return tag === etag || tag === "*";
  });
