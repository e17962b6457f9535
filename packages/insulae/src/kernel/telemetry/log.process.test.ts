import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";

const module = pathToFileURL(`${import.meta.dirname}/log.ts`).href;

test.each([
  ["by itself", "", 0],
  ["at once", "process.exit(3);", 3],
  ["by an error that nobody catches", "throw new Error('x');", 1],
])("a process that ends %s has written its lines", (_how, end, status) => {
  const code = `
    import { createLogger } from ${JSON.stringify(module)};
    const log = createLogger("info");
    for (let i = 0; i < 3000; i += 1) log.info({ i }, "said");
    ${end}
  `;
  const ended = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8",
  });
  expect(ended.status).toBe(status);
  const said = ended.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).i);
  expect(said).toEqual(Array.from({ length: 3_000 }, (_, i) => i));
});

test("a warning is written at the end of its turn, with what was said before it", () => {
  const code = `
    import { createLogger } from ${JSON.stringify(module)};
    const log = createLogger("info");
    log.info("before");
    log.warn("now");
    setImmediate(() => process.kill(process.pid, "SIGKILL"));
  `;
  const ended = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8",
  });
  expect(ended.signal).toBe("SIGKILL");
  const said = ended.stdout.trimEnd().split("\n");
  expect(said.map((line) => JSON.parse(line).msg)).toEqual(["before", "now"]);
});
