import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Type } from "typebox";
import { describe, expect, it } from "vitest";
import { feature } from "../../feature/feature.ts";
import { pageOf, pageQuery, searchText } from "../../feature/page.ts";
import { defineError } from "../../lib/errors.ts";
import { testServer } from "../server/test-server.ts";
import { openApiDocument } from "./openapi.ts";

const Note = Type.Object(
  { id: Type.String({ format: "uuid" }), at: Type.Tuple([Type.Number(), Type.Number()]) },
  { title: "Note" },
);
const NewNote = Type.Object(
  { text: Type.String() },
  { $id: "NewNote", description: "A new note." },
);
const noteMissing = defineError("note_missing", 404, "There is no such note");
const params = Type.Object({ note_id: Type.String({ format: "uuid", description: "Which" }) });

/** The handler of routes that are only described. */
const unasked = (): never => {
  throw new Error("nobody calls it");
};

const notes = feature("notes", {
  permissions: { "notes:read": "See notes", "notes:write": "Change notes" },
  routes: (r) => [
    r.get(
      "/notes",
      {
        permission: "notes:read",
        summary: "Lists notes",
        query: pageQuery({ q: searchText }),
        response: pageOf(Note),
      },
      unasked,
    ),
    r.post(
      "/notes",
      {
        permission: "notes:write",
        audit: { none: "a test" },
        summary: "Adds",
        body: NewNote,
        response: { 201: Note },
      },
      unasked,
    ),
    r.get(
      "/notes/:note_id",
      { permission: "notes:read", summary: "One", params, response: Note, errors: [noteMissing] },
      unasked,
    ),
    r.delete(
      "/notes/:note_id",
      {
        permission: "notes:write",
        audit: { none: "a test" },
        summary: "Deletes",
        params,
        response: { 204: null },
      },
      unasked,
    ),
    r.post(
      "/login",
      {
        permission: "public",
        audit: { none: "a test" },
        context: "any",
        summary: "Logs in",
        body: NewNote,
        response: Note,
      },
      unasked,
    ),
  ],
});

describe("the OpenAPI document", () => {
  const document = async () =>
    (await testServer([notes]).app.inject("/api-docs/openapi.json")).json();

  it("documents who may call each route, its input and its responses", async () => {
    const { openapi, paths, components } = await document();
    expect(openapi).toBe("3.1.0");
    const one = paths["/api/v1/notes/{note_id}"].get;
    expect(one).toMatchObject({
      operationId: "getNotesByNoteId",
      tags: ["notes"],
      "x-permission": "notes:read",
      description: expect.stringContaining("notes:read"),
      parameters: [{ name: "note_id", in: "path", required: true, description: "Which" }],
    });
    expect(one.responses["200"].content["application/json"].schema).toEqual({
      $ref: "#/components/schemas/Note",
    });
    expect(one.responses["404"].description).toContain("note_missing");
    expect(Object.keys(one.responses)).toEqual(
      expect.arrayContaining(["200", "400", "401", "403", "404", "default"]),
    );
    expect(paths["/api/v1/login"].post.security).toEqual([]);
    expect(paths["/api/v1/notes/{note_id}"].delete.responses["204"]).not.toHaveProperty("content");
    expect(components.schemas.NewNote).toMatchObject({
      additionalProperties: false,
      properties: { text: { type: "string", maxLength: 10_000 } },
    });
    expect(components.schemas.Note.properties.at).toMatchObject({
      prefixItems: [{ type: "number" }, { type: "number" }],
      items: false,
    });
    const names = paths["/api/v1/notes"].get.parameters.map((p: { name: string }) => p.name);
    expect(names).toEqual(["limit", "cursor", "q"]);
    expect(paths).toHaveProperty("/health/ready");
  });

  it("is valid according to an independent validator", async () => {
    const source = JSON.stringify(await document());
    const config = await createConfig({ extends: ["minimal"], rules: { struct: "error" } });
    const problems = await lintFromString({ source, config });
    expect(problems.filter((problem) => problem.severity === "error")).toEqual([]);
  });

  it("has resolvable references and unique operation ids", async () => {
    const text = JSON.stringify(await document());
    const { components, paths } = JSON.parse(text);
    for (const [, kind = "", name = ""] of text.matchAll(/"#\/components\/(\w+)\/([^"]+)"/g)) {
      expect(components[kind]).toHaveProperty(name);
    }
    const operations = Object.values<Record<string, { operationId: string }>>(paths).flatMap(
      Object.values,
    );
    const ids = operations.map((operation) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("presents a union of literals as an enum", async () => {
    const Sort = Type.Union([Type.Literal("name"), Type.Literal("age")], {
      description: "By what",
    });
    const sorted = feature("sorted", {
      routes: (r) => [
        r.get(
          "/sorted",
          {
            permission: "public",
            summary: "Sorts",
            query: Type.Object({ sort: Type.Optional(Sort) }),
            response: Type.Object({
              version: Type.Union([Type.Literal(1), Type.Literal(2)]),
              open: Type.Union([Sort, Type.Null()]),
              mixed: Type.Union([Type.Literal("all"), Type.Integer()]),
            }),
          },
          unasked,
        ),
      ],
    });
    const { paths } = (await testServer([sorted]).app.inject("/api-docs/openapi.json")).json();
    const { parameters, responses } = paths["/api/v1/sorted"].get;
    const choice = { type: "string", enum: ["name", "age"] };
    expect(parameters[0]).toMatchObject({ description: "By what", schema: choice });
    const { properties } = responses["200"].content["application/json"].schema;
    expect(properties.version).toEqual({ type: "number", enum: [1, 2] });
    expect(properties.open.anyOf).toMatchObject([choice, { type: "null" }]);
    expect(properties.mixed.anyOf).toHaveLength(2);
  });

  it("has the application's name, and leaves dialects to a document of their own", async () => {
    const dialect = feature("dialect", {
      routes: ({ absolute: r }) => [
        r.get(
          "/old/notes",
          { permission: "public", summary: "As it was", response: Note },
          unasked,
        ),
      ],
    });
    const { app } = testServer([notes, dialect], { name: "Shop", dialects: new Set([dialect]) });
    const [main, apart] = await Promise.all(
      ["openapi", "dialects"].map(async (name) =>
        (await app.inject(`/api-docs/${name}.json`)).json(),
      ),
    );
    expect([main.info.title, apart.info.title]).toEqual(["Shop", "Shop: dialects"]);
    expect(Object.keys(apart.paths)).toEqual(["/old/notes"]);
    expect(main.paths).not.toHaveProperty("/old/notes");
    expect((await app.inject("/swagger-ui/start.js")).body).toContain("/api-docs/dialects.json");

    const without = testServer([notes]).app;
    expect((await without.inject("/api-docs/dialects.json")).statusCode).toBe(404);
    expect((await without.inject("/swagger-ui/start.js")).body).not.toContain("dialects");
  });

  it("gives two schemas with the same name different names", () => {
    const other = feature("others", {
      routes: (r) => [
        r.get(
          "/others",
          {
            permission: "public",
            summary: "Other notes",
            response: Type.Object({ other: Type.String() }, { title: "Note" }),
          },
          unasked,
        ),
      ],
    });
    const made = openApiDocument({ features: [notes, other], version: "1", baseUrl: "http://a" });
    expect(JSON.stringify(made)).toContain("#/components/schemas/Note2");
  });
});

describe("the API reference", () => {
  it.each(["/swagger-ui", "/redoc"])(
    "at %s loads nothing from elsewhere, and runs no inline script",
    async (url) => {
      const { app } = testServer([notes]);
      const page = await app.inject(url);
      expect(page.statusCode).toBe(200);
      expect(page.headers["content-security-policy"]).toContain("script-src 'self';");
      expect(page.body).not.toMatch(/https?:\/\/|<script>|onload=/);
      const assets = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(
        (match) => match[1] ?? "",
      );
      expect(assets.length).toBeGreaterThan(1);
      for (const asset of assets) {
        const answer = await app.inject(asset);
        expect([asset, answer.statusCode]).toEqual([asset, 200]);
        expect(answer.headers["content-type"]).toMatch(/^text\/(javascript|css)/);
      }
    },
  );

  it("has the application's name, safely escaped", async () => {
    const { app } = testServer([notes], { name: "</title><b>Shop" });
    for (const url of ["/swagger-ui", "/redoc"]) {
      const { body } = await app.inject(url);
      expect(body).toContain("<title>&lt;/title&gt;&lt;b&gt;Shop API");
    }
  });

  it("keeps credentials across reloads in development only", async () => {
    for (const production of [true, false]) {
      const { app } = testServer([notes], { production });
      const { body } = await app.inject("/swagger-ui/start.js");
      expect(body).toContain(`persistAuthorization: ${!production}`);
    }
  });

  it("is not sent again to a client that has it", async () => {
    const { app } = testServer([notes]);
    const { headers } = await app.inject("/swagger-ui");
    const again = await app.inject({
      url: "/swagger-ui",
      headers: { "if-none-match": String(headers.etag) },
    });
    expect([again.statusCode, again.body]).toEqual([304, ""]);
  });
});
