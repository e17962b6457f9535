import {
  defineError,
  feature,
  idParams,
  orThrow,
  pageOf,
  pageQuery,
  Type,
  timestamp,
  uuid,
} from "insulae";
import {
  createComment,
  createNote,
  findNote,
  listNotes,
  type NoteTables,
} from "./notes.queries.ts";

const noteNotFound = defineError("note_not_found", 404, "This note does not exist");

const title = Type.String({ minLength: 1, maxLength: 200 });
const text = Type.String({ maxLength: 10_000 });

const Note = Type.Object(
  { id: uuid, title, text, created_at: timestamp, updated_at: timestamp },
  { $id: "Note" },
);
const NewNote = Type.Object({ title, text: Type.Optional(text) }, { $id: "NewNote" });
const Comment = Type.Object({ id: uuid, text, created_at: timestamp }, { $id: "Comment" });
const NewComment = Type.Object({ text }, { $id: "NewComment" });
const NoteWithComments = Type.Object(
  { ...Note.properties, comments: Type.Array(Comment, { description: "The latest hundred." }) },
  { $id: "NoteWithComments" },
);

/** Notes, which a tenant's users write and comment on. */
export const notes = feature<NoteTables>("notes", {
  permissions: {
    "notes:read": "See notes and comments",
    "notes:write": "Write notes and comments",
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["notes", "comments"],
  // For another tenant's note, PostgreSQL reports the same error as for one that doesn't exist.
  constraints: { comments_note_id_fkey: noteNotFound },
  routes: (r) => [
    r.get(
      "/notes",
      {
        permission: "notes:read",
        summary: "Lists notes, newest first",
        query: pageQuery(),
        response: pageOf(Note),
      },
      ({ db, page: { limit, after, cursor } }) =>
        listNotes.page(db, { after: after[0] }, { limit, cursor, key: ({ id }) => [id] }),
    ),

    r.post(
      "/notes",
      {
        permission: "notes:write",
        audit: { none: "everyday data" },
        summary: "Adds a note",
        body: NewNote,
        response: { 201: Note },
      },
      ({ db, body }) => createNote.jsonOrThrow(db, body),
    ),

    r.get(
      "/notes/:id",
      {
        permission: "notes:read",
        summary: "Shows a note and its comments",
        params: idParams,
        response: NoteWithComments,
        errors: [noteNotFound],
      },
      ({ db, params }) => findNote.json(db, params).then(orThrow(noteNotFound)),
    ),

    r.post(
      "/notes/:id/comments",
      {
        permission: "notes:write",
        audit: { none: "everyday data" },
        summary: "Adds a comment to a note",
        params: idParams,
        body: NewComment,
        response: { 201: Comment },
        errors: [noteNotFound],
      },
      ({ db, params, body }) => createComment.jsonOrThrow(db, { note_id: params.id, ...body }),
    ),
  ],
});
