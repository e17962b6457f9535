import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import {
  idParams,
  nameText,
  nullable,
  onlyId,
  timestamp,
  uuid,
} from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery, searchText, totalWanted } from "../../kernel/feature/page.ts";
import { exported, exportList, exportQuery } from "../../kernel/http/reply/export.ts";
import { defineError, orThrow } from "../../kernel/lib/errors.ts";
import {
  createDocument,
  type DocumentTables,
  deleteDocument,
  filterOf,
  findDocument,
  listDocuments,
  updateDocument,
  wholeDocuments,
} from "./documents.queries.ts";

export const documentNotFound = defineError("document_not_found", 404, "There is no such document");

const bodyLimit = 256 * 1024;

const Title = nameText(300);
// Only the body limit applies.
const Content = Type.String({ maxLength: bodyLimit });

const head = {
  id: uuid,
  title: Type.String(),
  created_by: nullable(uuid),
  created_at: timestamp,
  updated_at: timestamp,
};
const DocumentHead = Type.Object(head, { $id: "DocumentHead" });
const Document = Type.Object({ ...head, content: Content }, { $id: "Document" });
const NewDocument = Type.Object(
  { title: Title, content: Type.Optional(Content) },
  { $id: "NewDocument" },
);
const DocumentChanges = Type.Object(
  { title: Type.Optional(Title), content: Type.Optional(Content) },
  { $id: "DocumentChanges", minProperties: 1 },
);

/** Events carry no content, which may be long. */
export const documentEvents = {
  "document.created": { permission: "documents:read", data: DocumentHead },
  "document.updated": { permission: "documents:read", data: DocumentHead },
  "document.deleted": { permission: "documents:read", data: onlyId },
};

export const documentRoutes = (r: RouteBuilder<DocumentTables>) => [
  r.get(
    "/documents",
    {
      permission: "documents:read",
      summary: "Lists documents without their content, newest first",
      description: "`q` searches title and content, ignoring case.",
      query: pageQuery({ q: searchText, created_by: Type.Optional(uuid), total: totalWanted }),
      response: pageOf(DocumentHead),
    },
    ({ db, query, page }) => listDocuments(db, query, page),
  ),

  r.get(
    "/documents/export",
    {
      permission: "documents:read",
      audit: "documents.exported",
      summary: "Exports documents with their content, newest first, as CSV or JSON lines",
      query: exportQuery({ q: searchText, created_by: Type.Optional(uuid) }),
      response: exported,
      atATime: "exports",
    },
    ({ db, query, header }) =>
      exportList(
        { name: "documents", format: query.format, header },
        {
          row: Document,
          next: (page) => wholeDocuments.part(db, { ...filterOf(query), ...page }),
        },
      ),
  ),

  r.post(
    "/documents",
    {
      permission: "documents:write",
      audit: { none: "everyday data" },
      summary: "Adds a document",
      body: NewDocument,
      bodyLimit,
      response: { 201: Document },
    },
    ({ user, body, events }) =>
      events.recording("document.created", (db) =>
        createDocument.jsonOrThrow(db, { ...body, created_by: user.id }),
      ),
  ),

  r.get(
    "/documents/:id",
    {
      permission: "documents:read",
      summary: "Returns a document",
      params: idParams,
      response: Document,
      etag: "documents",
      errors: [documentNotFound],
    },
    ({ db, params }) => findDocument.json(db, params).then(orThrow(documentNotFound)),
  ),

  r.patch(
    "/documents/:id",
    {
      permission: "documents:write",
      audit: { none: "everyday data" },
      summary: "Changes a document",
      params: idParams,
      body: DocumentChanges,
      bodyLimit,
      response: Document,
      errors: [documentNotFound],
    },
    ({ params, body, events }) =>
      events
        .recording("document.updated", (db) => updateDocument.json(db, { ...body, id: params.id }))
        .then(orThrow(documentNotFound)),
  ),

  r.delete(
    "/documents/:id",
    {
      permission: "documents:write",
      audit: { none: "everyday data" },
      summary: "Deletes a document",
      params: idParams,
      response: { 204: null },
      errors: [documentNotFound],
    },
    async ({ params, events }) => {
      const deleting = events.recording("document.deleted", (db) =>
        deleteDocument.first(db, params),
      );
      await deleting.then(orThrow(documentNotFound));
    },
  ),
];
