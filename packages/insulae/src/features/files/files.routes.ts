import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import {
  idParams,
  nullable,
  onlyId,
  secretText,
  timestamp,
  uuid,
} from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery, searchText, totalWanted } from "../../kernel/feature/page.ts";
import { malformedForm } from "../../kernel/http/body/multipart.ts";
import { uploadForm } from "../../kernel/http/body/stream-body.ts";
import { orThrow } from "../../kernel/lib/errors.ts";
import { bodyTooLarge, lengthRequired } from "../../kernel/lib/http-errors.ts";
import { mediaTypePattern } from "../../kernel/lib/media-type.ts";
import { storageFull } from "../../kernel/storage/errors.ts";
import { maxFileBytes } from "../../kernel/storage/storage.ts";
import { quotaExceeded } from "../../kernel/tenancy/plans.ts";
import { fileName, maxNameLength } from "./file-name.ts";
import { endUploadJob } from "./files.jobs.ts";
import { changeFile, type FileTables, findFile, listFiles } from "./files.queries.ts";
import {
  confirmUpload,
  deleteFile,
  downloadUrl,
  fileNotFound,
  fileNotReady,
  fileNotUploaded,
  maxTypeLength,
  requestUpload,
  sizeMismatch,
  typeMismatch,
  uploadFile,
} from "./files.service.ts";

const FileName = Type.String({
  minLength: 1,
  maxLength: maxNameLength,
  description:
    "The display name, not part of any path. It is normalised to NFC and must not contain control, bidirectional or invisible characters.",
});
const MimeType = Type.String({
  maxLength: maxTypeLength,
  pattern: mediaTypePattern,
  description: "The media type with its parameters, as in `text/plain; charset=utf-8`.",
});
const FileSize = Type.Integer({ minimum: 0, maximum: maxFileBytes, description: "In bytes." });
const Metadata = Type.Record(Type.String({ maxLength: 100 }), Type.String({ maxLength: 1_000 }), {
  maxProperties: 50,
  description: "Additional data of your own, by name.",
});

const File = Type.Object(
  {
    id: uuid,
    user_id: nullable(uuid),
    file_key: Type.String({ description: "The object's key in the storage." }),
    file_name: FileName,
    mime_type: MimeType,
    file_size: FileSize,
    sha256: nullable(Type.String({ description: "SHA-256 of the content, in hexadecimal." })),
    metadata: Metadata,
    status: Type.Union([Type.Literal("pending"), Type.Literal("ready")]),
    created_at: timestamp,
    updated_at: timestamp,
  },
  { $id: "File" },
);
const NewFile = Type.Object(
  {
    file_name: FileName,
    file_size: FileSize,
    mime_type: MimeType,
    metadata: Type.Optional(Metadata),
  },
  { $id: "NewFile" },
);
const FileChanges = Type.Object(
  { file_name: Type.Optional(FileName), metadata: Type.Optional(Metadata) },
  { $id: "FileChanges", minProperties: 1 },
);
const Texts = Type.Record(Type.String(), Type.String());
const SignedUpload = Type.Object(
  {
    file: File,
    upload: Type.Object({
      method: Type.Union([Type.Literal("POST"), Type.Literal("PUT")]),
      url: secretText("Upload the content to this URL. Valid for this file only, for 15 minutes."),
      headers: Type.Unsafe<Record<string, string>>({
        ...Texts,
        description: "For PUT, with the content as the body.",
      }),
      fields: Type.Unsafe<Record<string, string>>({
        ...Texts,
        description: "For POST, with a form as the body: these fields first, then the part `file`.",
      }),
      expires_at: timestamp,
    }),
  },
  { $id: "SignedUpload" },
);
export const fileEvents = {
  "file.created": { permission: "files:read", data: File },
  "file.updated": { permission: "files:read", data: File },
  "file.deleted": { permission: "files:read", data: onlyId },
};
const uploadErrors = [quotaExceeded, typeMismatch, sizeMismatch, storageFull] as const;

export const fileRoutes = (r: RouteBuilder<FileTables>) => [
  r.get(
    "/files",
    {
      permission: "files:read",
      summary: "Lists files, newest first",
      description: "`q` searches the names. Files whose upload is not complete are `pending`.",
      query: pageQuery({
        q: searchText,
        status: Type.Optional(
          Type.Union([Type.Literal("ready"), Type.Literal("pending")], { default: "ready" }),
        ),
        total: totalWanted,
      }),
      response: pageOf(File),
    },
    ({ db, query, page }) => listFiles(db, query, page),
  ),

  r.post(
    "/files/upload",
    {
      permission: "files:write",
      audit: "file.uploaded",
      summary: "Uploads a file",
      description: `Send a form (\`multipart/form-data\`): the metadata fields first, then the content in a part named \`file\`, at most ${maxFileBytes} bytes. Name and type default to those of the part; \`file_size\`, if given, must match. If the type has a known signature, the content must begin with it.`,
      body: uploadForm(
        Type.Object({
          file_name: Type.Optional(FileName),
          file_size: Type.Optional(FileSize),
          mime_type: Type.Optional(MimeType),
          metadata: Type.Optional(Metadata),
        }),
        { maxBytes: maxFileBytes },
      ),
      response: { 201: File },
      errors: [...uploadErrors, malformedForm, bodyTooLarge, lengthRequired],
    },
    (scope) => uploadFile(scope, scope.user.id, scope.body),
  ),

  r.post(
    "/files",
    {
      permission: "files:write",
      audit: { none: "the file exists only once the upload is confirmed, which is audited" },
      summary: "Requests a signed upload directly to the storage",
      description:
        "Reserves quota and returns the signed request to send the content with. The storage accepts exactly this size and type. Afterwards call `POST /api/v1/files/{id}/confirm`.",
      body: NewFile,
      response: { 201: SignedUpload },
      errors: [quotaExceeded],
    },
    async (scope) => {
      const { db, jobs, user, body } = scope;
      const wanted = { metadata: {}, ...body };
      const { id, upload, keptUntil } = await requestUpload(scope, user.id, wanted);
      await jobs.send(endUploadJob, { file_id: id }, { after: keptUntil });
      const { expiresAt, ...request } = upload;
      const file = await findFile.json(db, { id }).then(orThrow(fileNotFound));
      return { file: file.value(), upload: { ...request, expires_at: expiresAt.toISOString() } };
    },
  ),

  r.post(
    "/files/:id/confirm",
    {
      permission: "files:write",
      audit: "file.uploaded",
      summary: "Confirms a signed upload",
      description:
        "The server checks size and type in the storage and deletes content that does not match. Safe to repeat.",
      params: idParams,
      response: File,
      errors: [fileNotFound, fileNotUploaded, sizeMismatch, typeMismatch],
    },
    async (scope) => {
      await confirmUpload(scope, scope.params.id);
      return findFile.json(scope.db, scope.params).then(orThrow(fileNotFound));
    },
  ),

  r.get(
    "/files/:id",
    {
      permission: "files:read",
      summary: "Returns a file's metadata",
      params: idParams,
      response: File,
      etag: "files",
      errors: [fileNotFound],
    },
    ({ db, params }) => findFile.json(db, params).then(orThrow(fileNotFound)),
  ),

  r.get(
    "/files/:id/download",
    {
      permission: "files:read",
      summary: "Redirects to a file's content",
      description:
        "The redirect leads to a signed URL that needs no credentials and is valid for at most an hour. Browsers may display images, audio, video and plain text; everything else is downloaded.",
      params: idParams,
      response: { 302: null },
      errors: [fileNotFound, fileNotReady],
    },
    async ({ db, storage, params, header }) => {
      header("location", await downloadUrl({ db, storage }, params.id));
    },
  ),

  r.patch(
    "/files/:id",
    {
      permission: "files:write",
      audit: { none: "everyday data" },
      summary: "Renames a file or changes its metadata",
      params: idParams,
      body: FileChanges,
      response: File,
      errors: [fileNotFound],
    },
    ({ params, body: { metadata, file_name: name }, events }) => {
      const file_name = name === undefined ? undefined : fileName(name, "/body/file_name");
      return events
        .recording("file.updated", (db) =>
          changeFile.json(db, {
            file_name,
            metadata: metadata && JSON.stringify(metadata),
            id: params.id,
          }),
        )
        .then(orThrow(fileNotFound));
    },
  ),

  r.delete(
    "/files/:id",
    {
      permission: "files:write",
      audit: "file.deleted",
      summary: "Deletes a file",
      params: idParams,
      response: { 204: null },
      errors: [fileNotFound],
    },
    (scope) => deleteFile(scope, scope.params.id),
  ),
];
