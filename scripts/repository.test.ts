/** Promises of the repository besides its code. */
import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import vitest from "../vitest.config.ts";

const read = (file: string): string => readFileSync(file, "utf8");

test("the licence is MIT, and a page says how to contribute", () => {
  expect(read("LICENSE")).toContain("MIT License");
  for (const file of ["package.json", "packages/insulae/package.json"]) {
    expect(JSON.parse(read(file)).license).toBe("MIT");
  }
  expect(read("CONTRIBUTING.md")).toContain("npm run check && npm test && npm run acceptance");
});

test("CI runs what CONTRIBUTING.md says", () => {
  const { scripts } = JSON.parse(read("package.json"));
  const commands = ["check", "advisories", "test", "acceptance", "schemathesis"];
  for (const command of commands) {
    expect(scripts).toHaveProperty(command);
    expect(read(".ci/run")).toMatch(new RegExp(`^step npm (run )?${command}\\b`, "m"));
    expect(read("CONTRIBUTING.md")).toMatch(new RegExp(`\\| .npm (run )?${command}. \\|`));
  }
  for (const command of ["start", "build", "format", "bench"]) {
    expect(scripts).toHaveProperty(command);
  }
});

test("CI reports coverage, and fails below 85 % of the server's lines", () => {
  expect(read(".ci/run")).toMatch(/^step npm test -- --coverage .*scripts\/test-times\.ts/m);
  const { include, reporter, thresholds } = Object(vitest.test?.coverage);
  expect(include).toEqual(["packages/insulae/src/**/*.ts"]);
  expect(reporter).toContain("text-summary");
  expect(thresholds.lines).toBeGreaterThanOrEqual(85);
});

test("every failure has a runbook that is linked", () => {
  const guide = read("docs/deploy.md");
  for (const name of [
    "restore",
    "rotate-keys",
    "tenant-under-attack",
    "failed-migration",
    "bigger-server",
  ]) {
    expect(read(`docs/runbooks/${name}.md`).length).toBeGreaterThan(500);
    expect(guide).toContain(`runbooks/${name}.md`);
  }
});

test("every defence in docs/defences.md has an existing test", () => {
  const rows = read("docs/defences.md")
    .split("\n")
    .filter((line) => /^\| (?!what is tried|---)/.test(line));
  expect(rows.length).toBeGreaterThan(100);
  const tests = globSync("{packages,acceptance,scripts,examples}/**/*.test.ts", {
    exclude: ["**/node_modules/**"],
  });
  for (const row of rows) {
    const shown = row.split(" | ").at(-1) ?? "";
    const files = [...shown.matchAll(/`([^`]+\.test\.ts)`/g)].map(([, file = ""]) => file);
    // One is shown by hours of the benchmark.
    if (!shown.includes("npm run bench")) expect([row, files.length]).not.toEqual([row, 0]);
    for (const file of files) {
      // Some are named without their folder.
      const pattern = new RegExp(`(^|/)${file.replaceAll("*", "[^/]*")}$`);
      expect([row, file, tests.some((one) => pattern.test(one))]).toEqual([row, file, true]);
    }
  }
});

test("installed packages have binaries for all supported platforms", () => {
  for (const file of globSync("{.,scripts,bench}/package-lock.json")) {
    const packages: Record<string, { optionalDependencies?: Record<string, string> }> = JSON.parse(
      read(file),
    ).packages;
    const names = Object.keys(packages).map((path) => path.replace(/^.*node_modules\//, ""));
    const wanted = Object.values(packages).flatMap(({ optionalDependencies = {} }) =>
      Object.keys(optionalDependencies),
    );
    expect(wanted.length, file).toBeGreaterThan(0);
    expect(
      wanted.filter((name) => !names.includes(name)),
      file,
    ).toEqual([]);
  }
});
