import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
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

test("a project has the folder's name, the version that was asked for, and a .gitignore", () => {
  expect(create("lamp-shop", "--insulae", "1.2.3")).toEqual({ code: undefined, error: "" });
  const manifest = JSON.parse(readFileSync(join(place, "lamp-shop/package.json"), "utf8"));
  expect(manifest).toMatchObject({ name: "lamp-shop", dependencies: { insulae: "1.2.3" } });
  expect(readFileSync(join(place, "lamp-shop/.gitignore"), "utf8")).toContain("node_modules/");
  expect(readFileSync(join(place, "lamp-shop/deploy/kubernetes.yaml"), "utf8")).toContain(
    "name: lamp-shop-migrate",
  );
});

test("without a version it depends on that of this package", () => {
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

test("a folder that has something in it is left as it is, and one of git's counts as empty", () => {
  mkdirSync(join(place, "full"));
  writeFileSync(join(place, "full/thesis.txt"), "dear");
  expect(create("full")).toMatchObject({ code: 1, error: expect.stringContaining("not empty") });
  expect(readdirSync(join(place, "full"))).toEqual(["thesis.txt"]);
  mkdirSync(join(place, "fresh/.git"), { recursive: true });
  process.exitCode = undefined;
  said.error.mockClear();
  expect(create("fresh")).toEqual({ code: undefined, error: "" });
});

test.each([
  ["My App", [], `"My App" can't be a project's name`],
  ["-app", [], `"-app" can't be a project's name`],
  ["insulae", [], "A project can't be called insulae"],
  ["vitest", [], "A project can't be called vitest"],
  ["app", ["--insulae", "./missing.tgz"], "nor a tarball that there is"],
  ["app", ["--insulae", "whatever"], "neither a version"],
  ["app", ["--colour"], "Unknown option '--colour'"],
  ["app", ["another"], "npm create insulae <folder>"],
])("%s %j is refused in a sentence, and nothing is made", (name, more, sentence) => {
  expect(create(name, ...more)).toEqual({ code: 1, error: expect.stringContaining(sentence) });
  expect(existsSync(join(place, name))).toBe(false);
});
