import { type Static, Type } from "typebox";
import { describe, expectTypeOf, it } from "vitest";
import { feature } from "../../feature/feature.ts";
import { pageOf, pageQuery, searchText } from "../../feature/page.ts";
import type { CorePrincipal, Principal, TenantPrincipal } from "../../identity/principal.ts";
import type { Tenant } from "../../model/tenant.ts";

const Note = Type.Object({ id: Type.String(), text: Type.String() });
const NewNote = Type.Object({ text: Type.String(), stars: Type.Optional(Type.Integer()) });
const NoteId = Type.Object({ id: Type.String({ format: "uuid" }) });

// Compile-time tests: `tsc` fails if an expected error does not occur.
describe("the types of a feature", () => {
  it("give a handler the params, query and body that its schemas describe", () => {
    feature("notes", {
      permissions: { "notes:write": "Write notes" },
      routes: (r) => [
        r.put(
          "/notes/:id",
          {
            permission: "notes:write",
            summary: "Changes a note",
            params: NoteId,
            query: pageQuery({ q: searchText, loud: Type.Optional(Type.Boolean()) }),
            body: NewNote,
            response: pageOf(Note),
          },
          ({ params, query, body, tenant, user, page }) => {
            expectTypeOf(params).toEqualTypeOf<Static<typeof NoteId>>();
            expectTypeOf(body.stars).toEqualTypeOf<number | undefined>();
            expectTypeOf(query.q).toEqualTypeOf<string | undefined>();
            expectTypeOf(query.loud).toEqualTypeOf<boolean | undefined>();
            expectTypeOf(query.limit).toEqualTypeOf<number | undefined>();
            expectTypeOf(page.after[0]).toEqualTypeOf<string | undefined>();
            expectTypeOf(tenant).toEqualTypeOf<Tenant>();
            expectTypeOf(user).toEqualTypeOf<TenantPrincipal>();
            // @ts-expect-error the params have no such field
            params.number;
            // @ts-expect-error nor has the body
            body.title;
            // @ts-expect-error nor the query
            query.page_size;
            return { items: [], next_cursor: null };
          },
        ),
      ],
    });
  });

  it("are empty without a schema", () => {
    feature("notes", {
      routes: (r) => [
        r.get(
          "/notes",
          { permission: "authenticated", summary: "Notes", response: Note },
          ({ params, query, body }) => {
            // @ts-expect-error no params are declared
            const id: string = params.id;
            // @ts-expect-error no query is declared
            const limit: number = query.limit;
            // @ts-expect-error no body is declared
            const text: string = body.text;
            return { id, limit, text };
          },
        ),
      ],
    });
  });

  it("follow the access and the context of the route", () => {
    feature("notes", {
      routes: (r) => [
        r.post(
          "/login",
          { permission: "public", context: "any", summary: "Logs in", response: Note },
          ({ user, tenant, platform }) => {
            expectTypeOf(user).toEqualTypeOf<Principal | undefined>();
            expectTypeOf(tenant).toEqualTypeOf<Tenant | undefined>();
            return { id: String(platform), text: "" };
          },
        ),
        r.post(
          "/tenants",
          { permission: "platform", context: "core", summary: "Adds", response: { 201: Note } },
          (context) => {
            expectTypeOf(context.user).toEqualTypeOf<CorePrincipal>();
            // @ts-expect-error no tenant is known here
            context.tenant;
            // @ts-expect-error nor a tenant's database
            return context.db;
          },
        ),
        r.get(
          "/notes",
          { permission: "notes:read", summary: "Notes", response: Note },
          // @ts-expect-error a tenant's handler has no way to other tenants
          ({ platform }) => platform,
        ),
        r.get(
          "/notes/all",
          // @ts-expect-error a permission is `resource:action`
          { permission: "everybody", summary: "Notes", response: Note },
          () => undefined,
        ),
        // @ts-expect-error a route says who may call it
        r.get("/notes/mine", { summary: "Notes", response: Note }, () => undefined),
        // @ts-expect-error and what it answers
        r.get("/notes/other", { permission: "public", summary: "Notes" }, () => undefined),
      ],
    });
  });
});
