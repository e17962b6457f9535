import { Type } from "typebox";
import { expect, test } from "vitest";
import { databaseUnavailable, retryLater } from "../database/errors.ts";
import { feature } from "../feature.ts";
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
