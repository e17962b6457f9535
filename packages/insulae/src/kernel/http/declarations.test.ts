import { Type } from "typebox";
import { describe, expect, it } from "vitest";
import { defineError, type ErrorFactory } from "../errors.ts";
import { type Feature, feature, type Route } from "../feature.ts";
import { checkDeclarations } from "./declarations.ts";
import { testServer } from "./test-server.ts";

const Id = Type.Object({ id: Type.String() });

/** A feature with one route, which its types would not let pass. */
const withRoute = (options: object, path = "/notes", method = "GET"): Feature =>
  feature("notes", {
    permissions: { "notes:read": "See notes" },
    routes: () => [
      { method, path, absolute: false, options, handler: () => undefined } as unknown as Route,
    ],
  });

const good = { permission: "notes:read", summary: "Notes", response: Type.Unknown() };

describe("a feature", () => {
  it.each<[string, Feature]>([
    ["it has no permission", withRoute({ ...good, permission: undefined })],
    [
      "permission notes:write is declared by no feature",
      withRoute({ ...good, permission: "notes:write" }),
    ],
    [
      "permission everybody is declared by no feature",
      withRoute({ ...good, permission: "everybody" }),
    ],
    [
      "platform administrators act in the context core",
      withRoute({ ...good, permission: "platform" }),
    ],
    ["a tenant's permission needs the context tenant", withRoute({ ...good, context: "core" })],
    ["context global is not known", withRoute({ ...good, context: "global" })],
    ["it has no summary", withRoute({ ...good, summary: " " })],
    ["it has no response", withRoute({ ...good, response: undefined })],
    [
      "its response has no status 2xx or 3xx",
      withRoute({ ...good, response: { 404: Type.Null() } }),
    ],
    ["a GET has no body", withRoute({ ...good, body: Id })],
    ["parameter :id has no schema in params", withRoute(good, "/notes/:id")],
    ["params describe :id, which its path has not", withRoute({ ...good, params: Id })],
    ["its path is not of the form /things/:id", withRoute(good, "notes")],
    ["its path is not of the form /things/:id", withRoute(good, "/notes/*")],
    ["query is not an object schema", withRoute({ ...good, query: Type.String() })],
    [
      'body: format "phone" is not known',
      withRoute(
        { ...good, body: Type.Object({ a: Type.String({ format: "phone" }) }) },
        "/n",
        "POST",
      ),
    ],
    [
      "is not a regular expression",
      withRoute({ ...good, query: Type.Object({ a: Type.String({ pattern: "(" }) }) }),
    ],
    [
      "etag is declared by the GET",
      withRoute({ ...good, params: Id, etag: true, audit: { none: "a test" } }, "/n/:id", "PUT"),
    ],
    ["etag needs an :id in the path", withRoute({ ...good, etag: "notes" })],
    [
      "the table notes is declared by no feature",
      withRoute({ ...good, params: Id, etag: "notes" }, "/n/:id"),
    ],
    [
      "it needs the context tenant",
      withRoute(
        { ...good, permission: "public", context: "any", params: Id, etag: "notes" },
        "/n/:id",
      ),
    ],
    ["use Type.Evaluate()", withRoute({ ...good, body: Type.Intersect([Id, Id]) }, "/n", "POST")],
    [
      'response 200: format "colour" is not known',
      withRoute({ ...good, response: Type.String({ format: "colour" }) }),
    ],
  ])("is refused where %s", (problem, wrong) => {
    expect(() => checkDeclarations([wrong])).toThrow(problem);
  });

  it("is refused where two errors have one code", () => {
    const first = defineError("note_locked", 409, "The note is locked");
    const second = defineError("note_locked", 423, "Somebody edits the note");
    const errors = (...all: ErrorFactory[]) => withRoute({ ...good, errors: all });
    expect(() => checkDeclarations([errors(first, first)])).not.toThrow();
    expect(() => checkDeclarations([errors(first, second)])).toThrow(
      'error note_locked is defined 2 times: 409 "The note is locked", 423 "Somebody edits the note"',
    );
    const constrained = { ...errors(first), constraints: { notes_key: second } };
    expect(() => checkDeclarations([constrained])).toThrow("error note_locked is defined 2 times");
    const known = defineError("conflict", 409, "Another one");
    expect(() => checkDeclarations([errors(known)])).toThrow("error conflict is defined 2 times");
  });

  it("is refused where two routes have one address, whatever its parameters are called", () => {
    const route = (name: string): Route => {
      const wrong = withRoute(
        { ...good, params: Type.Object({ [name]: Type.String() }) },
        `/notes/:${name}`,
      );
      return wrong.routes[0] as Route; // the one that withRoute made
    };
    const twice = { ...withRoute(good), routes: [route("id"), route("number")] };
    expect(() => checkDeclarations([twice])).toThrow("route GET /api/v1/notes/: is declared twice");
  });

  it("stops the server, which lists all problems of all features at once", () => {
    const wrong = [
      withRoute({ ...good, permission: undefined, summary: undefined }),
      { ...withRoute({ ...good, body: Id }), name: "others", permissions: new Map() },
    ];
    expect(() => testServer(wrong)).toThrow(
      /notes: GET \/api\/v1\/notes: it has no permission\n.*it has no summary\n.*others: .*a GET has no body/s,
    );
  });

  it("is taken where all is declared", () => {
    expect(() => checkDeclarations([withRoute(good)])).not.toThrow();
  });
});
