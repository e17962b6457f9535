import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test, vi } from "vitest";
import { main } from "./create.ts";

let place: string;
const said = { out: vi.spyOn(console, "log"), error: vi.spyOn(console, "error") };

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "create-insulae-"));
  for (const spy of Object.values(said)) spy.mockReset().mockReturnValue(undefined);
});
afterEach(() => {
  process.exitCode = undefined;
  rmSync(place, { recursive: true });
});

afterAll(() => vi.restoreAllMocks());

const create = (name: string, ...more: string[]) => {
  main([join(place, name), ...more]);
  return { code: process.exitCode, error: said.error.mock.calls.flat().join("\n") };
};

test("a project has the folder's name, the requested version, and a .gitignore", () => {
  expect(create("lamp-shop", "--insulae", "1.2.3")).toEqual({ code: undefined, error: "" });
  const manifest = JSON.parse(readFileSync(join(place, "lamp-shop/package.json"), "utf8"));
  expect(manifest).toMatchObject({ name: "lamp-shop", dependencies: { insulae: "1.2.3" } });
  expect(readFileSync(join(place, "lamp-shop/.gitignore"), "utf8")).toContain("node_modules/");
  expect(readFileSync(join(place, "lamp-shop/deploy/kubernetes.yaml"), "utf8")).toContain(
    "name: lamp-shop-migrate",
  );
});

test("without a version it depends on this package's version", () => {
  create("lamp-shop");
  const { dependencies } = JSON.parse(readFileSync(join(place, "lamp-shop/package.json"), "utf8"));
  const { version } = JSON.parse(
    readFileSync(join(import.meta.dirname, "../package.json"), "utf8"),
  );
  expect(dependencies.insulae).toBe(version);
});

test("a tarball is copied into the project", () => {
  const tarball = join(place, "insulae-9.9.9.tgz");
  writeFileSync(tarball, "packed");
  create("lamp-shop", "--insulae", tarball);
  expect(readFileSync(join(place, "lamp-shop/insulae-9.9.9.tgz"), "utf8")).toBe("packed");
  const { dependencies } = JSON.parse(readFileSync(join(place, "lamp-shop/package.json"), "utf8"));
  expect(dependencies.insulae).toBe("file:insulae-9.9.9.tgz");
});

test("the console's tarball beside it is copied as well", () => {
  const tarball = join(place, "insulae-9.9.9.tgz");
  writeFileSync(tarball, "packed");
  writeFileSync(join(place, "insulae-console-9.9.9.tgz"), "console");
  create("lamp-shop", "--insulae", tarball);
  const project = join(place, "lamp-shop");
  expect(readFileSync(join(project, "insulae-console-9.9.9.tgz"), "utf8")).toBe("console");
  const { dependencies } = JSON.parse(readFileSync(join(project, "package.json"), "utf8"));
  expect(dependencies).toMatchObject({
    insulae: "file:insulae-9.9.9.tgz",
    "@insulae/console": "file:insulae-console-9.9.9.tgz",
  });
});

test("a folder that is not empty is left unchanged, and a new git repository counts as empty", () => {
  mkdirSync(join(place, "full"));
  writeFileSync(join(place, "full/thesis.txt"), "dear");
  expect(create("full")).toMatchObject({ code: 1, error: expect.stringContaining("not empty") });
  expect(readdirSync(join(place, "full"))).toEqual(["thesis.txt"]);
  mkdirSync(join(place, "fresh/.git"), { recursive: true });
  process.exitCode = undefined;
  said.error.mockClear();
  expect(create("fresh")).toEqual({ code: undefined, error: "" });
});

test("files of systems, editors and forges are ignored, and stay", () => {
  mkdirSync(join(place, "fresh/.idea"), { recursive: true });
  for (const name of [".DS_Store", "LICENSE", ".gitattributes"])
    writeFileSync(join(place, "fresh", name), "of my-app");
  expect(create("fresh")).toEqual({ code: undefined, error: "" });
  for (const name of [".DS_Store", "LICENSE", ".gitattributes"])
    expect(readFileSync(join(place, "fresh", name), "utf8")).toBe("of my-app");
  expect(existsSync(join(place, "fresh/package.json"))).toBe(true);
});

test.each([".vscode", ".gitignore", "README.md", "src"])("%s is not ignored", (entry) => {
  mkdirSync(join(place, "full", entry), { recursive: true });
  const error = expect.stringContaining(`is not empty: it contains ${entry}.`);
  expect(create("full")).toEqual({ code: 1, error });
  expect(readdirSync(join(place, "full"))).toEqual([entry]);
});

test("a symbolic link to an empty folder works like the folder", () => {
  mkdirSync(join(place, "target"));
  symlinkSync("target", join(place, "lamp-shop"));
  expect(create("lamp-shop")).toEqual({ code: undefined, error: "" });
  const manifest = JSON.parse(readFileSync(join(place, "target/package.json"), "utf8"));
  expect(manifest.name).toBe("lamp-shop");
});

test("an unusable path is refused in a sentence", () => {
  writeFileSync(join(place, "file"), "");
  symlinkSync("missing", join(place, "dangling"));
  symlinkSync("loop", join(place, "loop"));
  for (const [path, sentence] of [
    ["file", "is a file. Choose a new folder."],
    ["file/app", "is not a folder. Choose another path."],
    ["file/parent/app", "is not a folder. Choose another path."],
    ["dangling", "is a broken symbolic link."],
    ["dangling/app", "The project can't be created"],
    ["loop", "is a broken symbolic link."],
    ["loop/app", "The project can't be created"],
    [`${"long".repeat(100)}/app`, "The project can't be created: ENAMETOOLONG"],
  ] as const) {
    said.error.mockClear();
    expect(create(path)).toEqual({ code: 1, error: expect.stringContaining(sentence) });
  }
  expect(readdirSync(place).sort()).toEqual(["dangling", "file", "loop"]);
});

test("a folder without permission to write or read is refused in a sentence", () => {
  mkdirSync(join(place, "readable/empty"), { recursive: true });
  mkdirSync(join(place, "closed"));
  chmodSync(place, 0o755);
  for (const path of ["readable/empty", "readable"]) chmodSync(join(place, path), 0o555);
  chmodSync(join(place, "closed"), 0);
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(65534); // root may do everything
  try {
    for (const path of ["readable/app", "readable/empty", "closed", "closed/app"]) {
      said.error.mockClear();
      const error = expect.stringMatching(/^You have no permission for .*\. Choose a folder/);
      expect(create(path)).toEqual({ code: 1, error });
    }
  } finally {
    if (root) process.seteuid?.(0);
    for (const path of ["readable/empty", "readable", "closed"])
      chmodSync(join(place, path), 0o755);
  }
});

test.each(["", " "])("the name %j is refused, and nothing is created", (name) => {
  main([name]);
  expect(process.exitCode).toBe(1);
  expect(said.error).toHaveBeenCalledWith(expect.stringContaining("npm create insulae <folder>"));
});

test.each([
  ["My App", [], `"My App" can't be a project's name`],
  ["-app", [], `"-app" can't be a project's name`],
  ["insulae", [], "A project can't be called insulae"],
  ["vitest", [], "A project can't be called vitest"],
  ["app", ["--insulae", "./missing.tgz"], "nor an existing tarball"],
  ["app", ["--insulae", "whatever"], "neither a version"],
  ["app", ["--colour"], "Unknown option '--colour'"],
  ["app", ["another"], "npm create insulae <folder>"],
])("%s %j is refused in a sentence, and nothing is created", (name, more, sentence) => {
  expect(create(name, ...more)).toEqual({ code: 1, error: expect.stringContaining(sentence) });
  expect(existsSync(join(place, name))).toBe(false);
});
