import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findConsole } from "./console.ts";

function packageWith(...files: readonly string[]) {
  const root = mkdtempSync(join(tmpdir(), "insulae-console-package-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const folder of ["build", "dist"]) mkdirSync(join(root, folder));
  for (const file of files) writeFileSync(join(root, file), "");
  return { root, dist: join(root, "dist"), manifest: join(root, "dist/manifest.json") };
}

test("a checkout's console is built while the server runs, but not in production", () => {
  const { root, dist, manifest } = packageWith("build/build.ts");
  expect(findConsole("development", manifest)).toEqual({ dist, sources: root });
  // Nobody would build it: its pages would say for ever that somebody does.
  expect(findConsole("production", manifest)).toBeUndefined();
});

test("one that is built is served as it is", () => {
  const checkout = packageWith("build/build.ts", "dist/manifest.json");
  const installed = packageWith("dist/manifest.json");
  for (const { dist, manifest } of [checkout, installed]) {
    expect(findConsole("production", manifest)).toEqual({ dist, sources: undefined });
  }
});

test("a package without its build is none", () => {
  const { manifest } = packageWith();
  expect(findConsole("development", manifest)).toBeUndefined();
});
