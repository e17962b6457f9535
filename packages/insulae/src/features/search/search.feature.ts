import { Type } from "typebox";
import { hasWords, searching } from "../../kernel/data/search.ts";
import { feature } from "../../kernel/feature/feature.ts";
import { oneOf, uuid } from "../../kernel/feature/fields.ts";
import { contactSearch } from "../contacts/contacts.feature.ts";
import { documentSearch } from "../documents/documents.feature.ts";
import { productSearch } from "../products/products.feature.ts";
import { userSearch } from "../users/users.feature.ts";

const sources = [contactSearch, productSearch, documentSearch, userSearch];

/**
 * Maximum length for similarity search: longer queries are expensive and hardly a mistyped name.
 */
const mostSimilar = 64;

const SearchType = oneOf(sources.map(({ type }) => type));

const Result = Type.Object(
  {
    type: SearchType,
    id: uuid,
    title: Type.String(),
    detail: Type.Union([Type.String(), Type.Null()], {
      description: "An e-mail or SKU; for a document, the matching excerpt as plain text.",
    }),
    score: Type.Number({ minimum: 0, maximum: 1 }),
  },
  { $id: "SearchResult" },
);

/** Searches several types at once. */
export const search = feature("search", {
  permissions: { "search:read": "Search the data that the user may read" },
  dependsOn: ["contacts", "products", "documents", "users"],
  routes: (r) => [
    r.get(
      "/search",
      {
        permission: "search:read",
        summary: "Searches contacts, products, documents and users, best matches first",
        description:
          'Searches the types that the caller may list. Contacts, products and users match by part of the same fields as in their lists; documents match by words, in search-engine syntax (`"a phrase"`, `or`, `-without`). If nothing matches, similar names do: `Hoper` finds Hopper.',
        query: Type.Object({
          q: Type.String({ minLength: 2, maxLength: 200, pattern: "\\S" }),
          types: Type.Optional(
            Type.Array(SearchType, {
              maxItems: sources.length,
              uniqueItems: true,
              description: "Only these types; can be repeated. Default: all.",
            }),
          ),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 50, default: 20 })),
        }),
        response: Type.Object({ items: Type.Array(Result) }),
      },
      async ({ db, user, query }) => {
        const { q: text, limit = 20 } = query;
        if (!hasWords(text)) return { items: [] };
        const types: readonly string[] | undefined = query.types;
        const wanted = sources.filter(
          ({ type, permission }) =>
            user.permissions.has(permission) && (types?.includes(type) ?? true),
        );
        const best = (fuzzy: boolean) =>
          searching(db, { text, fuzzy }, async (tx) => {
            const found = [];
            for (const { type, find } of wanted) {
              for (const row of await find(tx, { text, limit })) found.push({ type, ...row });
            }
            return found.toSorted((a, b) => b.score - a.score).slice(0, limit);
          });
        const found = await best(false);
        if (found.length > 0 || text.length > mostSimilar) return { items: found };
        return { items: await best(true) };
      },
    ),
  ],
});
