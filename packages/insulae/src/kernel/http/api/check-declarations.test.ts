import { Type } from "typebox";
import { describe, expect, it } from "vitest";
import { type Feature, feature, type Route, type RouteBuilder } from "../../feature/feature.ts";
import { job } from "../../feature/job.ts";
import { mailTemplate } from "../../feature/mail-template.ts";
import { defineError, type ErrorFactory } from "../../lib/errors.ts";
import { testServer } from "../server/test-server.ts";
import { checkDeclarations } from "./check-declarations.ts";

const Id = Type.Object({ id: Type.String() });

/** A feature with one route that its types would refuse. */
const withRoute = (
  options: object,
  path = "/notes",
  method = "GET",
  handler: unknown = () => undefined,
): Feature =>
  feature("notes", {
    permissions: { "notes:read": "See notes" },
    routes: () => [{ method, path, absolute: false, options, handler } as unknown as Route],
  });

const good = { permission: "notes:read", summary: "Notes", response: Type.Unknown() };

describe("a feature", () => {
  it.each<[string, Feature]>([
    ["it has no permission", withRoute({ ...good, permission: undefined })],
    [
      "permission notes:raed is not declared by any feature; did you mean notes:read?",
      withRoute({ ...good, permission: "notes:raed" }),
    ],
    [
      "permission everybody is not declared by any feature",
      withRoute({ ...good, permission: "everybody" }),
    ],
    [
      "platform administrators act in the context core",
      withRoute({ ...good, permission: "platform" }),
    ],
    ["a tenant's permission needs the context tenant", withRoute({ ...good, context: "core" })],
    ["context global does not exist", withRoute({ ...good, context: "global" })],
    [
      "permision is not an option; did you mean permission?",
      withRoute({ ...good, permision: "notes:read" }),
    ],
    ["its handler is null", withRoute(good, "/notes", "GET", null)],
    [
      "errors[0] is undefined: its import is misspelt or part of an import cycle",
      withRoute({ ...good, errors: [undefined] }),
    ],
    [
      "parameter :id has no schema in params; did you mean ids?",
      withRoute({ ...good, params: Type.Object({ ids: Type.String() }) }, "/notes/:id"),
    ],
    [
      "body is undefined: its import is misspelt",
      withRoute({ ...good, body: undefined }, "/n", "POST"),
    ],
    ["response 201 is undefined", withRoute({ ...good, response: { 201: undefined } })],
    [
      "response 200: a schema in it is undefined",
      withRoute({ ...good, response: { type: "array", items: undefined } }),
    ],
    [
      "query: a schema in it is undefined",
      withRoute({ ...good, query: { type: "object", properties: { a: undefined } } }),
    ],
    ['limit "credential" does not exist', withRoute({ ...good, limit: "credential" })],
    ["bodyLimit is 0; it must be a number of bytes", withRoute({ ...good, bodyLimit: 0 })],
    [
      "its path must not repeat /api/v1, which is added; or use r.absolute",
      withRoute(good, "/api/v1/notes"),
    ],
    ["it has no summary", withRoute({ ...good, summary: " " })],
    ["it has no response", withRoute({ ...good, response: undefined })],
    [
      "its response declares no status 2xx or 3xx",
      withRoute({ ...good, response: { 404: Type.Null() } }),
    ],
    ["a GET has no body", withRoute({ ...good, body: Id })],
    ["parameter :id has no schema in params", withRoute(good, "/notes/:id")],
    ["params has :id, but the path does not", withRoute({ ...good, params: Id })],
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
      "etag belongs on the GET",
      withRoute({ ...good, params: Id, etag: true, audit: { none: "a test" } }, "/n/:id", "PUT"),
    ],
    ["etag needs an :id in the path", withRoute({ ...good, etag: "notes" })],
    [
      "the table notes is not declared by any feature",
      withRoute({ ...good, params: Id, etag: "notes" }, "/n/:id"),
    ],
    [
      "etag needs the context tenant",
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

  it("is refused if two errors have the same code", () => {
    const first = defineError("note_locked", 409, "The note is locked");
    const second = defineError("note_locked", 423, "Somebody edits the note");
    const errors = (...all: ErrorFactory[]) => withRoute({ ...good, errors: all });
    expect(() => checkDeclarations([errors(first, first)])).not.toThrow();
    expect(() => checkDeclarations([errors(first, second)])).toThrow(
      'error note_locked is defined 2 times: 409 "The note is locked" (notes), 423 "Somebody edits the note" (notes)',
    );
    const constrained = { ...errors(first), constraints: { notes_key: second } };
    expect(() => checkDeclarations([constrained])).toThrow("error note_locked is defined 2 times");
    const known = defineError("conflict", 409, "Another one");
    expect(() => checkDeclarations([errors(known)])).toThrow(
      'error conflict is defined 2 times: 409 "This already exists. Change the value that must be unique." (Insulae itself), 409 "Another one" (notes)',
    );
  });

  it("is refused if two routes have the same address, whatever the names of their parameters", () => {
    const route = (name: string): Route => {
      const wrong = withRoute(
        { ...good, params: Type.Object({ [name]: Type.String() }) },
        `/notes/:${name}`,
      );
      return wrong.routes[0] as Route; // the one that withRoute made
    };
    const twice = { ...withRoute(good), routes: [route("id"), route("number")] };
    expect(() => checkDeclarations([twice])).toThrow(
      "route GET /api/v1/notes/:id is declared twice (GET /api/v1/notes/:number is the same address): both times by the feature notes",
    );
    const others = { ...withRoute(good), name: "tags", permissions: new Map() };
    expect(() => checkDeclarations([withRoute(good), others])).toThrow(
      "route GET /api/v1/notes is declared twice: by the features notes and tags",
    );
  });

  it("is refused if it is listed twice, or shares its name, job, mail or event with another", () => {
    const run = async () => {};
    const sweep = () => job("notes.sweep", { run });
    const mail = () =>
      mailTemplate({ name: "note", about: "x", subject: "x", body: ["x"] }, () => ({}));
    const events = { "note.made": { permission: "a:read", data: Id } } as const;
    const one = feature("a", {
      permissions: { "a:read": "See" },
      jobs: [sweep()],
      mails: [mail()],
      events,
    });
    const two = feature("b", { jobs: [sweep()], mails: [mail()], events });
    expect(() => checkDeclarations([one, one])).toThrow(
      /invalid:\n- the feature a is in the list twice: list it once$/,
    );
    for (const what of ["job notes.sweep", "mail note", "event note.made"]) {
      expect(() => checkDeclarations([one, two])).toThrow(
        `${what} is declared twice: by the features a and b`,
      );
    }
    const routes = (r: RouteBuilder<Record<never, never>>) => [
      r.get("/a", { permission: "public", summary: "x", response: Id }, () => ({ id: "" })),
    ];
    expect(() => checkDeclarations([feature("c", { routes }), feature("c", {})])).toThrow(
      "two features have the same name, c (one with the route GET /a, one without migrations and routes): rename one",
    );
  });

  it("is refused if two schemas have the same name", () => {
    const named = (properties: object) => Type.Object(properties as never, { $id: "Note" });
    const first = withRoute({ ...good, response: Type.Array(named({ a: Type.String() })) });
    const route = (response: object) =>
      withRoute({ ...good, response }, "/others").routes[0] as Route; // the one that withRoute made
    const same = { ...first, routes: [...first.routes, route(named({ a: Type.String() }))] };
    expect(() => checkDeclarations([same])).not.toThrow();
    const other = { ...first, routes: [...first.routes, route(named({ b: Type.String() }))] };
    expect(() => checkDeclarations([other])).toThrow(
      '$id "Note" names 2 different schemas (notes: GET /api/v1/notes; notes: GET /api/v1/others): give each its own name',
    );
  });

  it("prevents the start, with all problems of all features reported at once", () => {
    const wrong = [
      withRoute({ ...good, permission: undefined, summary: undefined }),
      { ...withRoute({ ...good, body: Id }), name: "others", permissions: new Map() },
    ];
    expect(() => testServer(wrong)).toThrow(
      /notes: GET \/api\/v1\/notes: it has no permission\n.*it has no summary\n.*others: .*a GET has no body/s,
    );
  });

  it("is accepted if everything is declared", () => {
    expect(() => checkDeclarations([withRoute(good)])).not.toThrow();
  });
});
