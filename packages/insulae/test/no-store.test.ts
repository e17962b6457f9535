import { afterAll, beforeAll, expect, it } from "vitest";
import { dialects } from "../src/dialects/index.ts";
import { coreFeatures, developmentFeatures, standardFeatures } from "../src/features/index.ts";
import type { App } from "../src/index.ts";
import { routePath } from "../src/kernel/http/api/declarations.ts";
import { addMember, createMember, type TestMember, unknownId } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/test-app.ts";

const routes = [...coreFeatures, ...developmentFeatures, ...standardFeatures, ...dialects]
  .flatMap((feature) => feature.routes)
  .filter(({ options }) => options.permission !== "public");

let app: App;
let owner: TestMember;
beforeAll(async () => {
  app = await createTestApp();
  owner = await addMember(app, (await createMember(app)).tenant, "owner");
});
afterAll(() => app.close());

it("no answer to somebody who is known may be kept by a cache, of whatever route and status", async () => {
  const answers = [];
  // Those that read first: what ends sessions comes among the others.
  for (const route of routes.toSorted(
    (a, b) => Number(a.method !== "GET") - Number(b.method !== "GET"),
  )) {
    const { statusCode, headers } = await app.inject({
      method: route.method,
      url: routePath(route).replaceAll(/:[^/]+/g, unknownId),
      headers: { authorization: `Bearer ${owner.token}` },
      ...(route.options.body && { payload: {} }),
    });
    answers.push({ route: `${route.method} ${routePath(route)}`, statusCode, headers });
  }
  expect(answers.length).toBeGreaterThan(40);
  expect(answers.filter(({ statusCode }) => statusCode < 300).length).toBeGreaterThan(10);
  const kept = answers.filter(({ headers }) => headers["cache-control"] !== "no-store");
  expect(kept.map(({ route }) => route)).toEqual([]);
});
