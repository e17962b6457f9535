import { Type } from "typebox";
import { describe, expect, it } from "vitest";
import { coreFeatures, standardFeatures } from "../../../features/index.ts";
import type { RouteBuilder } from "../../feature/feature.ts";
import { pageOf, pageQuery, searchText, totalWanted } from "../../feature/page.ts";
import { type Route, routeBuilder } from "../../feature/route.ts";
import { hintsOf } from "./openapi-hints.ts";

type Declare = (r: RouteBuilder<Record<never, never>>) => Route;
const hints = (declare: Declare) => hintsOf(declare(routeBuilder<Record<never, never>>(new Set())));
const unasked = () => {
  throw new Error("nobody calls it");
};
const common = { summary: "Does something", response: Type.Object({}) } as const;
const sort = Type.Optional(Type.Union([Type.Literal("newest"), Type.Literal("name")]));

describe("an operation says", () => {
  it("which token it takes", () => {
    const own = { ...common, permission: "notes:read" } as const;
    expect(hints((r) => r.get("/notes", own, unasked))).toEqual({
      "x-permission": "notes:read",
      "x-context": "tenant",
    });
    for (const context of ["core", "any"] as const) {
      const route = hints((r) => r.get("/notes", { ...own, context }, unasked));
      expect(route["x-context"]).toBe(context);
    }
  });

  it.each([
    ["a route about the caller", { permission: "authenticated" }, true],
    [
      "one that is open to others all the same",
      { permission: "authenticated", personal: false },
      false,
    ],
    [
      "one that is the person's in spite of a permission",
      { permission: "notes:read", personal: true },
      true,
    ],
    [
      "one that impersonators may not call",
      { permission: "notes:read", impersonators: false },
      true,
    ],
    ["one with a permission", { permission: "notes:read" }, false],
    ["one for strangers", { permission: "public" }, false],
  ] as const)("whether it is the person's alone: %s", (_what, options, personal) => {
    const route = hints((r) => r.get("/notes", { ...common, ...options }, unasked));
    expect(route["x-personal"]).toBe(personal || undefined);
  });

  it("what its list is filtered and sorted by", () => {
    const query = pageQuery({ q: searchText, author: searchText, sort, total: totalWanted });
    const list = { ...common, permission: "notes:read", query, response: pageOf(Type.Object({})) };
    expect(hints((r) => r.get("/notes", list as never, unasked))["x-list"]).toEqual({
      filters: ["q", "author"],
      order: ["newest", "name"],
      order_parameter: "sort",
      total: true,
    });
    const plain = { ...list, query: pageQuery() };
    expect(hints((r) => r.get("/notes", plain as never, unasked))["x-list"]).toEqual({
      filters: [],
      order: [],
      total: false,
    });
  });

  it("the same of each list that there is", () => {
    const routes = [...coreFeatures, ...standardFeatures].flatMap((feature) => feature.routes);
    const lists = routes.filter((route) => hintsOf(route)["x-list"]).map(({ path }) => path);
    const paged = routes.filter(({ method, options }) => {
      const { query } = options;
      return method === "GET" && query !== undefined && "cursor" in Object(query).properties;
    });
    expect(lists).toEqual(paged.map(({ path }) => path));
    expect(lists).toEqual(expect.arrayContaining(["/users", "/tenants", "/contacts", "/audit"]));
  });
});
