/** The published package: its types, whether they match the server, and its size. */
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import { expect, expectTypeOf, it } from "vitest";
import { type Client, createClient, type Schemas } from "./index.ts";

it("is less than six kilobytes for a page that uses everything, including dependencies", async () => {
  const input = fileURLToPath(new URL("index.ts", import.meta.url));
  const bundle = await rolldown({ input, platform: "browser" });
  const { output } = await bundle.generate({ format: "esm", minify: true });
  await bundle.close();
  expect(output).toHaveLength(1);
  expect(gzipSync(output[0].code).length).toBeLessThan(6 * 1024);
});

/** Never called: the compiler checks it, and fails if an expected error does not occur. */
async function types(client: Client, params: { path: { id: string } }): Promise<void> {
  expectTypeOf(
    await client.post("/contacts", { body: { name: "Ada", email: null } }),
  ).toEqualTypeOf<Schemas["Contact"]>();
  // @ts-expect-error: there is no such field
  await client.post("/contacts", { body: { name: "Ada", nickname: "A" } });
  // @ts-expect-error: a name is text
  await client.post("/contacts", { body: { name: 1 } });
  // @ts-expect-error: a name has to be given
  await client.post("/contacts", { body: {} });
  // @ts-expect-error: a body has to be given
  await client.post("/contacts");
  // @ts-expect-error: there is no such path
  await client.get("/contact");
  // @ts-expect-error: nothing is put there
  await client.put("/contacts", { body: { name: "Ada" } });
  // @ts-expect-error: which one?
  await client.get("/contacts/{id}");
  // @ts-expect-error: there is no such parameter
  await client.get("/contacts", { params: { query: { search: "Ada" } } });

  const page = await client.get("/contacts", { params: { query: { limit: 1 } } });
  expectTypeOf(page.next_cursor).toEqualTypeOf<string | null>();
  expectTypeOf(await client.delete("/contacts/{id}", { params })).toEqualTypeOf<undefined>();
  const file = client.get("/files/{id}/download", { params, parseAs: "blob" });
  expectTypeOf(await file).toEqualTypeOf<Blob>();
  for await (const user of client.each("/users")) expectTypeOf(user.email).toEqualTypeOf<string>();
  // @ts-expect-error: that is no list
  client.each("/auth/me");
}

/** A server with features of its own has additional paths. */
interface OwnPaths {
  "/api/v1/invoices": {
    get: {
      parameters: { query?: never; header?: never; path?: never; cookie?: never };
      responses: { 200: { content: { "application/json": { unpaid: string } } } };
    };
  };
  "/elsewhere": { get: { responses: { 200: { content?: never } } } };
}

async function ownTypes(client: Client<OwnPaths>): Promise<void> {
  expectTypeOf(await client.get("/invoices")).toEqualTypeOf<{ unpaid: string }>();
  // @ts-expect-error: not below /api/v1
  await client.get("/elsewhere");
}

it("can be built without a server", () => {
  expect(createClient({ baseUrl: "http://localhost" })).toHaveProperty("get");
  expect([types, ownTypes]).toHaveLength(2);
});
