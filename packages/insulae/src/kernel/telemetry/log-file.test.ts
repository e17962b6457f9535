import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openLogFile } from "./log-file.ts";

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "insulae-log-file-"));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

const line = (msg: string) => `${JSON.stringify({ level: 30, msg })}\n`;
const read = (path: string) => readFileSync(path, "utf8");

test("lines are added to the file, whose folder is made", async () => {
  const path = join(folder(), "logs", "app.log");
  for (const text of ["one", "two\u2028"]) {
    const file = openLogFile(path);
    file.write(line(text));
    await file.close();
  }
  expect(read(path)).toBe(`${line("one")}{"level":30,"msg":"two\\u2028"}\n`);
});

test("after it was moved away, lines go to a new file", async () => {
  const path = join(folder(), "app.log");
  const file = openLogFile(path);
  file.write(line("before"));
  await expect.poll(() => read(path)).toBe(line("before"));
  renameSync(path, `${path}.1`);
  file.write(line("between"));
  await expect.poll(() => read(`${path}.1`)).toBe(line("before") + line("between"));
  file.reopen();
  file.write(line("after"));
  await file.close();
  expect(read(path)).toBe(line("after"));
  expect(read(`${path}.1`)).toBe(line("before") + line("between"));
});

test("a disk that is full keeps nobody waiting, and takes no memory without bound", async () => {
  const path = join(folder(), "full");
  // Each write to it fails with ENOSPC.
  execFileSync("ln", ["-s", "/dev/full", path]);
  const file = openLogFile(path);
  const before = process.memoryUsage().heapUsed;
  const text = line("x".repeat(10_000));
  for (let i = 0; i < 20_000; i += 1) file.write(text);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(40_000_000);
  await file.close();
});

test("lines that had no room are counted where they are missing", async () => {
  const path = join(folder(), "app.log");
  const file = openLogFile(path);
  const text = line("x".repeat(10_000));
  for (let i = 0; i < 1_000; i += 1) file.write(text);
  const account = () => {
    const lines = read(path).split("\n").slice(0, -1);
    const missing = lines.flatMap((each) => /"msg":"(\d+) lines/.exec(each)?.[1] ?? []);
    const sum = missing.reduce((total, count) => total + Number(count), 0);
    return { missing: missing.length > 0, all: lines.length - missing.length + sum };
  };
  await expect.poll(account).toEqual({ missing: true, all: 1_000 });
  await file.close();
});
