/** The reference leaves nothing out: what the server answers at is in the OpenAPI document. */
import { expect, test } from "vitest";
import { dialects } from "../src/dialects/index.ts";
import { coreFeatures, developmentFeatures, standardFeatures } from "../src/features/index.ts";
import { testServer } from "../src/kernel/http/server/test-server.ts";

/** The document and the pages that show it, with their scripts and styles. */
const reference = /^GET \/(api-docs\/(openapi|dialects)\.json|swagger-ui|redoc)(\/|$)/;

/** The routes that the router knows, out of the tree that it prints: `GET /api/v1/contacts/:id`. */
function registeredRoutes(tree: string): string[] {
  const above: string[] = [];
  return tree.split("\n").flatMap((line) => {
    const [, indent = "", path = "", methods = ""] =
      /^([│ ]*)[├└]── (\S+)(?: \((.*)\))?$/u.exec(line) ?? [];
    const depth = indent.length / 4;
    above.splice(depth, Number.POSITIVE_INFINITY, path);
    return methods
      .split(", ")
      .filter((method) => method !== "" && method !== "HEAD" && method !== "OPTIONS")
      .map((method) => `${method} ${above.join("").replaceAll(/\/+/g, "/")}`);
  });
}

test("every route that is registered, absolute ones too, is in one of the OpenAPI documents", async () => {
  const features = [...coreFeatures, ...developmentFeatures, ...standardFeatures, ...dialects];
  const { app } = testServer(features, { dialects: new Set(dialects) });
  await app.ready();
  const registered = registeredRoutes(app.printRoutes({ commonPrefix: false }));
  const declared = features.flatMap(({ routes }) => routes).length;
  expect(registered.length).toBeGreaterThan(declared);

  const documents = await Promise.all(
    ["/api-docs/openapi.json", "/api-docs/dialects.json"].map(
      async (url) => (await app.inject(url)).json().paths,
    ),
  );
  // Those that only say that the address does not answer the method (405).
  const refusing = new Set<string>();
  for (const route of registered.filter((each) => !each.includes(":"))) {
    const [method, url = ""] = route.split(" ");
    const { statusCode } = await app.inject({ method: method as "GET", url });
    if (statusCode === 405) refusing.add(route);
  }
  const missing = registered.filter((route) => {
    if (refusing.has(route)) return false;
    const [method = "", path = ""] = route.split(" ");
    const address = path.replaceAll(/:([^/]+)/g, "{$1}");
    const isIn = documents.filter((paths) => paths[address]?.[method.toLowerCase()] !== undefined);
    return isIn.length !== 1 && !reference.test(route);
  });
  expect(missing).toEqual([]);
});
