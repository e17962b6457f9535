import { Type } from "typebox";
import { describe, expect, it } from "vitest";
import { callerFor, testServer, testTenant } from "../http/server/test-server.ts";
import { feature } from "./feature.ts";
import { pageOf, pageQuery } from "./page.ts";

const items = feature("items", {
  permissions: { "items:read": "See items" },
  routes: (r) => [
    r.get(
      "/items",
      {
        permission: "items:read",
        summary: "Items",
        query: pageQuery(),
        response: pageOf(Type.Object({ id: Type.String() })),
      },
      ({ page }) => ({ items: [], next_cursor: page.cursor.encode([page.limit, ...page.after]) }),
    ),
  ],
});

describe("a page", () => {
  it("continues at the cursor, with at most 200 items, by default 25", async () => {
    const { app } = testServer([items]);
    const first = (await app.inject("/api/v1/items")).json().next_cursor;
    const second = (await app.inject(`/api/v1/items?limit=200&cursor=${first}`)).json().next_cursor;
    expect(Buffer.from(second, "base64url").toString()).toContain('["200","25"]');
  });

  it("of tenant A can't be continued by tenant B", async () => {
    let tenant = "a";
    const { app } = testServer([items], { identify: () => callerFor(testTenant(tenant)) });
    const cursor = (await app.inject("/api/v1/items")).json().next_cursor;
    tenant = "b";
    const answer = await app.inject(`/api/v1/items?cursor=${cursor}`);
    expect([answer.statusCode, answer.json().code]).toEqual([400, "invalid_cursor"]);
  });
});
