/**
 * The project that a reader creates from docs/your-own-application.md and docs/queries.md: what
 * they show is written, compiled, tested, served and requested verbatim. What docs/applications.md
 * shows is compiled.
 */
import { spawn, spawnSync } from "node:child_process";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tsc } from "../scripts/tools.ts";
import { type Block, blocksOf, writeBlock } from "./page-blocks.ts";
import { freePort } from "./server.ts";
import { until } from "./until.ts";

const root = join(import.meta.dirname, "..");
const command = join(root, "packages/insulae/src/cli/main.ts");
// Inside the workspace, so that "insulae" is found as if installed.
const project = join(import.meta.dirname, `.snippets/own-${process.pid}`);
let page: readonly Block[];
let queries: readonly Block[];

/** Without the environment of the runner of this test. */
const environment = (more: Record<string, string> = {}) => ({
  PATH: process.env.PATH ?? "",
  HOME: process.env.HOME ?? "",
  APP_WS_PORT: "0",
  ...more,
});
/** @throws Error with its output, if it fails */
function run(program: string, args: readonly string[]): string {
  const options = { cwd: project, encoding: "utf8", env: environment() } as const;
  const { status, stdout, stderr } = spawnSync(program, args, options);
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed:\n${stdout}${stderr}`);
  return stdout;
}
const shell = (script: string): string =>
  run("sh", ["-euc", `npx() { shift; "${process.execPath}" "${command}" "$@"; }\n${script}`]);
const shellOf = (heading: string): string[] =>
  page
    .filter((block) => block.heading === heading && block.language === "sh")
    .map(({ code }) => code);

beforeAll(async () => {
  page = await blocksOf("docs/your-own-application.md");
  queries = await blocksOf("docs/queries.md");
  await mkdir(join(import.meta.dirname, ".snippets"), { recursive: true });
  await cp(join(root, "packages/create-insulae/template"), project, {
    recursive: true,
    filter: (path) => !path.endsWith("node_modules"),
  });
  const tsconfig = {
    extends: "../../../tsconfig.json",
    compilerOptions: { noUnusedLocals: false },
    include: ["*.ts", "src"],
  };
  await writeFile(join(project, "tsconfig.json"), JSON.stringify(tsconfig));
});
afterAll(() => rm(project, { recursive: true, force: true }));

test("a feature is written, and migrated twice", async () => {
  const [first = ""] = shellOf("A feature of your own");
  const [second = ""] = shellOf("Another migration");
  // The application does not load its new feature yet.
  const made = [shell(first)];
  for (const block of page.filter(({ file }) => file !== undefined)) {
    if (block.file === "src/tasks/migrations/0002_add_due.sql") made.push(shell(second));
    await writeBlock(project, block);
  }
  expect(made.join("")).toMatch(/0001_create_tasks\.sql[\s\S]*0002_add_due\.sql/);
});

/** The other examples of docs/queries.md, as a feature of the same project. */
async function writeQueries(): Promise<void> {
  for (const block of queries.filter(({ file }) => file !== undefined))
    await writeBlock(project, block);
  const typescript = queries.filter(({ language }) => language === "ts");
  const programs = typescript.filter(({ code }) => code.startsWith("import "));
  const routes = typescript.filter(({ code }) => code.startsWith("r."));
  const others = typescript.filter(({ code }) => /^(export |const |interface )/.test(code));
  expect(programs.length + routes.length + others.length).toBe(typescript.length);
  await writeFile(
    join(project, "src/tasks/shown.ts"),
    `import { containing, defineError, exported, exportList, exportQuery, feature, given, type Kysely,
       pageOf, pageQuery, type Params, sql, statement, type TenantDatabase, totalWanted, Type, withTotal,
     } from "insulae";
     import { Task, taskNotFound } from "./tasks.feature.ts";
     import { listTasks, taskColumns, type TaskTables, updateTask } from "./tasks.queries.ts";
     type Db = Kysely<TaskTables>;
     ${others.map(({ code }) => code).join("\n")}
     export const shown = feature<TaskTables>("shown", {
       routes: (r) => [${routes.map(({ code }) => code).join("\n")}],
     });`,
  );
  await writeFile(
    join(project, "src/tasks/shown.test.ts"),
    `import { createTestApp } from "insulae/testing";
     import { expect, test } from "vitest";
     import { moveTask, projectsWithTasks, searchTasks, shown, tasksOfProject } from "./shown.ts";
     import { createProject, createTask, type TaskTables, updateTask } from "./tasks.queries.ts";
     import { tasks } from "./tasks.feature.ts";

     test("the page's examples work", async () => {
       const app = await createTestApp({ features: [tasks, shown] });
       try {
         const acme = await app.createTenant();
         const ada = await acme.createUser();
         await app.withTenant<TaskTables, void>(acme, async ({ db }) => {
           const [from, to] = [await newProject("House"), await newProject("Garden")];
           async function newProject(name: string) {
             return (await createProject.jsonOrThrow(db, { name })).value();
           }
           for (const title of ["Paint", "100%", "Lamps"])
             await createTask.jsonOrThrow(db, { project_id: from.id, title });
           const all = await tasksOfProject.all(db, { project_id: from.id, done: false });
           expect(all.map(({ title }) => title)).toEqual(["Paint", "100%", "Lamps"]);

           const [first = { id: "" }] = all;
           await moveTask(db, first.id, to.id);
           expect(await projectsWithTasks.all(db, { limit: 10 })).toMatchObject([
             { name: "House", tasks: [{ title: "100%" }, { title: "Lamps" }] },
             { name: "Garden", tasks: [{ title: "Paint", done: false }] },
           ]);
           await updateTask.json(db, { id: first.id, done: true });
           await expect(moveTask(db, first.id, from.id)).rejects.toMatchObject({ code: "task_done" });
         });
         const found = await app.withTenant(acme, ({ db }) => searchTasks(db, "LAMP"));
         expect(found).toMatchObject([{ title: "Lamps" }]);
         const { body: one } = await ada.get("/tasks/by-title?limit=2&total=true");
         expect(one).toMatchObject({ items: [{ title: "100%" }, { title: "Lamps" }], total: 3 });
         const { body: two } = await ada.get(\`/tasks/by-title?limit=2&cursor=\${one.next_cursor}\`);
         expect(two).toMatchObject({ items: [{ title: "Paint" }], next_cursor: null });
         expect((await ada.get("/tasks/found?q=0%25")).body).toMatchObject([{ title: "100%" }]);
         expect((await ada.get("/tasks/export")).text).toMatch(/^id,project_id,title.*\\r?\\n.*Lamps/);
       } finally {
         await app.close();
       }
     });`,
  );
  for (const [at, { code }] of programs.entries())
    await writeFile(join(project, `program-${at}.ts`), code);
}

/** The examples of docs/applications.md: each block is a module of its own. */
async function writeReference(): Promise<void> {
  const blocks = await blocksOf("docs/applications.md");
  const needed = `import { type App, feature, tenantNotFound, tenantSettings, Type } from "insulae";
    declare const app: App;\n`;
  for (const [at, { code, language }] of blocks.entries()) {
    if (language !== "ts") continue;
    const before = code.startsWith("import ") ? "" : needed;
    await writeFile(join(project, `reference-${at}.ts`), before + code);
  }
}

test("all examples of the pages compile", async () => {
  await writeQueries();
  await writeReference();
  run(process.execPath, [tsc, "-p", "."]);
});

test("the reference that docs/queries.md explains is the generated one", async () => {
  const [sql] = queries.filter(({ language, file }) => language === "sql" && file === undefined);
  const migration = await readFile(
    join(project, "src/tasks/migrations/0001_create_tasks.sql"),
    "utf8",
  );
  expect(migration).toContain(sql?.code);
});

test("the project's tests pass", () => {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const printed = run(process.execPath, [vitest, "run", "--reporter=tap-flat"]);
  for (const file of ["notes", "tasks", "shown"]) {
    expect(printed).toMatch(
      new RegExp(`^ok .*src/${file === "notes" ? file : "tasks"}/${file}\\.test\\.ts`, "m"),
    );
  }
}, 180_000);

test("it is served, and responds as the page says; programs run on its data", async () => {
  const [dev = "", ...asked] = shellOf("Run it");
  expect(dev).toBe("npm run dev\n");
  const port = await freePort();
  const server = spawn(process.execPath, [command, "dev", "--port", String(port)], {
    cwd: project,
    env: environment(),
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  try {
    const url = `http://localhost:${port}`;
    await untilReady(url, () => server.exitCode !== null);
    const printed = shell(asked.join("\n").replaceAll("http://localhost:8000", url));
    expect(printed).toMatch(/"items":\[\{"id":"[^"]+","project_id":"[^"]+","title":"Buy lamps"/);
  } finally {
    server.kill("SIGTERM");
    await ended;
  }
  expect(run(process.execPath, ["program-0.ts"])).toContain("[ { tasks: 1 } ]");
  expect(run(process.execPath, ["program-1.ts"])).toMatch(/tenant_id = [\s\S]*Execution Time/);
}, 180_000);

async function untilReady(url: string, isOver: () => boolean): Promise<void> {
  const isReady = async () => {
    if (isOver()) throw new Error("the server has ended");
    return (await fetch(`${url}/health/ready`).catch(() => undefined))?.ok;
  };
  await until(`${url} is ready`, isReady, 120_000);
}
