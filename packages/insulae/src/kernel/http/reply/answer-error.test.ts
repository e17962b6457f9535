import { Type } from "typebox";
import { expect, test } from "vitest";
import { databaseUnavailable, retryLater } from "../../engine/errors.ts";
import { feature } from "../../feature/feature.ts";
import { testServer } from "../server/test-server.ts";

const away = feature("away", {
  routes: (r) => [
    r.get("/away", { permission: "public", summary: "Away", response: Type.Object({}) }, () => {
      throw databaseUnavailable(retryLater(new Error("connect ECONNREFUSED")));
    }),
  ],
});

test("a known, transient error is logged as a warning with its reason, without a stack", async () => {
  const { app, lines } = testServer([away]);
  const answer = await app.inject("/api/v1/away");
  expect([answer.statusCode, answer.json().code]).toEqual([503, "database_unavailable"]);
  const about = lines.filter((line) => line.code === "database_unavailable");
  expect(about).toEqual([
    expect.objectContaining({
      ...{
        level: 40,
        msg: "The database cannot be reached. Retry in a moment.",
        reason: "connect ECONNREFUSED",
      },
    }),
  ]);
  expect(lines.filter((line) => line.err !== undefined || Number(line.level) > 40)).toEqual([]);
});

const broken = feature("broken", {
  routes: (r) => [
    r.get("/broken", { permission: "public", summary: "Broken", response: Type.Object({}) }, () => {
      throw new Error("select secret from vault");
    }),
  ],
});

test("a problem shows the cause and its place in development, and nothing in production", async () => {
  const ask = async (production: boolean) => {
    const { app } = testServer([broken], { production });
    return (await app.inject("/api/v1/broken")).json();
  };
  const { debug, request_id, ...rest } = await ask(false);
  expect(debug).toMatchObject({ route: "GET /api/v1/broken", message: "select secret from vault" });
  const { request_id: other, ...inProduction } = await ask(true);
  expect(inProduction).toEqual(rest);
});
