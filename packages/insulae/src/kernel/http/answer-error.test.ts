import { DatabaseError } from "pg";
import { Type } from "typebox";
import { expect, test } from "vitest";
import { databaseUnavailable, retryLater } from "../database/errors.ts";
import { noteStatement } from "../errors.ts";
import { feature } from "../feature.ts";
import { createLoggerTo } from "../telemetry/log.ts";
import { testServer } from "./test-server.ts";

const away = feature("away", {
  routes: (r) => [
    r.get("/away", { permission: "public", summary: "Away", response: Type.Object({}) }, () => {
      throw databaseUnavailable(retryLater(new Error("connect ECONNREFUSED")));
    }),
  ],
});

test("an error that is known and passes is a warning that says why, without a stack", async () => {
  const { app, lines } = testServer([away]);
  const answer = await app.inject("/api/v1/away");
  expect([answer.statusCode, answer.json().code]).toEqual([503, "database_unavailable"]);
  const about = lines.filter((line) => line.code === "database_unavailable");
  expect(about).toEqual([
    expect.objectContaining({
      ...{ level: 40, msg: "The database cannot be reached", reason: "connect ECONNREFUSED" },
    }),
  ]);
  expect(lines.filter((line) => line.err !== undefined || Number(line.level) > 40)).toEqual([]);
});

const refused = () =>
  Object.assign(new DatabaseError('relation "notess" does not exist', 40, "error"), {
    ...{ severity: "ERROR", code: "42P01", table: "notes", detail: "Key (email)=(a@b.c)" },
    hint: "Perhaps you meant notes",
  });
const broken = feature("broken", {
  routes: (r) => [
    r.get(
      "/broken/:id",
      {
        permission: "public",
        summary: "Broken",
        params: Type.Object({ id: Type.String() }),
        response: Type.Object({}),
      },
      async () => {
        const error = refused();
        noteStatement(error, "select * from notess where email = $1");
        throw error;
      },
    ),
    r.get(
      "/broken-elsewhere",
      { permission: "public", summary: "Broken", response: Type.Object({}) },
      () => {
        const error = new Error("somewhere in a package");
        error.stack = "Error: somewhere\n    at x (/app/node_modules/x/index.js:1:1)";
        throw error;
      },
    ),
  ],
});

test("an error that nobody expected is logged with its route, SQL and place in the code", async () => {
  const lines: string[] = [];
  const log = createLoggerTo("error", (line) => lines.push(line));
  const { app } = testServer([broken], { log });
  await app.inject("/api/v1/broken/1");
  const line = JSON.parse(lines.join(""));
  expect(line).toMatchObject({
    route: "GET /api/v1/broken/:id",
    frame: expect.stringMatching(/answer-error\.test\.ts:\d+:\d+$/),
    msg: "Database error",
    err: {
      ...{ code: "42P01", table: "notes", hint: "Perhaps you meant notes" },
      message: expect.stringContaining("notess"),
      statement: "select * from notess where email = $1",
    },
  });
  expect(JSON.stringify(line)).not.toContain("a@b.c");
});

test("where an error's stack has nothing of the application, the place is its route's", async () => {
  const { app, lines } = testServer([broken]);
  await app.inject("/api/v1/broken-elsewhere");
  expect(lines.find(({ level }) => level === 50)).toMatchObject({
    route: "GET /api/v1/broken-elsewhere",
    frame: expect.stringMatching(/answer-error\.test\.ts:\d+:\d+$/),
  });
});

test("a problem says in development what was wrong and where, and in production nothing", async () => {
  const ask = async (production: boolean) => {
    const { app } = testServer([broken], { production });
    return (await app.inject("/api/v1/broken/1")).json();
  };
  const problem = await ask(false);
  expect(problem.debug).toEqual({
    route: "GET /api/v1/broken/:id",
    message: 'relation "notess" does not exist',
    sqlstate: "42P01",
    statement: "select * from notess where email = $1",
    table: "notes",
    hint: "Perhaps you meant notes",
    frame: expect.stringMatching(/answer-error\.test\.ts:\d+:\d+$/),
  });
  const { debug, request_id, ...rest } = problem;
  const { request_id: other, ...inProduction } = await ask(true);
  expect(inProduction).toEqual(rest);
});
