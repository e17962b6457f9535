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
import { bytesBody } from "../../kernel/http/body/stream-body.ts";
import { exported, exportList, exportQuery } from "../../kernel/http/reply/export.ts";
import { malformedCsv } from "../../kernel/lib/csv.ts";
import { defineError, orThrow } from "../../kernel/lib/errors.ts";
import { bodyTooLarge } from "../../kernel/lib/http-errors.ts";
import { createValidators } from "../../kernel/validation/validation.ts";
import {
  type ContactTables,
  createContact,
  deleteContact,
  findContact,
  listContacts,
  nextContacts,
  updateContact,
} from "./contacts.queries.ts";
import { ImportReport, importContacts, importRefused, maxImportBytes } from "./import.ts";

export const contactNotFound = defineError("contact_not_found", 404, "There is no such contact");

const Name = nameText(200);
const fields = {
  email: Type.String({ format: "idn-email", maxLength: 254 }),
  phone: Type.String({ minLength: 1, maxLength: 50 }),
  company: nameText(200, { minLength: 0 }),
  address: Type.String({ maxLength: 500 }),
  age: Type.Integer({ minimum: 0, maximum: 150 }),
  gender: Type.String({ maxLength: 50 }),
  notes: Type.String({ maxLength: 10_000 }),
};
const Email = nullable(fields.email);
const Phone = nullable(fields.phone);
const Company = nullable(fields.company);
const Address = nullable(fields.address);
const Age = nullable(fields.age);
const Gender = nullable(fields.gender);
const Notes = nullable(fields.notes);

const Contact = Type.Object(
  {
    id: uuid,
    name: Type.String(),
    email: Email,
    phone: Phone,
    company: nullable(Type.String()),
    address: Address,
    age: Age,
    gender: Gender,
    notes: Notes,
    created_at: timestamp,
    updated_at: timestamp,
  },
  { $id: "Contact" },
);

const details = {
  email: Type.Optional(Email),
  phone: Type.Optional(Phone),
  company: Type.Optional(Company),
  address: Type.Optional(Address),
  age: Type.Optional(Age),
  gender: Type.Optional(Gender),
  notes: Type.Optional(Notes),
};
const NewContact = Type.Object({ name: Name, ...details }, { $id: "NewContact" });
const ContactChanges = Type.Object(
  { name: Type.Optional(Name), ...details },
  { $id: "ContactChanges", minProperties: 1 },
);

/** Validates a row of an imported file, which has no nulls. Compiled on first use. */
const checkContact = createValidators()(
  Type.Object({ name: Name, ...Type.Partial(Type.Object(fields)).properties }),
  "body",
);

const flag = (description: string) => Type.Optional(Type.Boolean({ default: false, description }));
export const contactEvents = {
  "contact.created": { permission: "contacts:read", data: Contact },
  "contact.updated": { permission: "contacts:read", data: Contact },
  "contact.deleted": { permission: "contacts:read", data: onlyId },
};

export const contactRoutes = (r: RouteBuilder<ContactTables>) => [
  r.get(
    "/contacts",
    {
      permission: "contacts:read",
      summary: "Lists contacts, newest first or by name",
      description: "`q` searches name, e-mail, phone and company, ignoring case.",
      query: pageQuery({
        q: searchText,
        sort: Type.Optional(Type.Union([Type.Literal("newest"), Type.Literal("name")])),
        total: totalWanted,
      }),
      response: pageOf(Contact),
    },
    ({ db, query, page }) => listContacts(db, query, page),
  ),

  r.get(
    "/contacts/export",
    {
      permission: "contacts:read",
      audit: "contacts.exported",
      summary: "Exports contacts, newest first, as CSV or JSON lines",
      query: exportQuery({ q: searchText }),
      response: exported,
      atATime: "exports",
    },
    ({ db, query, header }) =>
      exportList(
        { name: "contacts", format: query.format, header },
        {
          row: Contact,
          next: (page) => nextContacts(db, query, page),
        },
      ),
  ),

  r.post(
    "/contacts/import",
    {
      permission: "contacts:write",
      audit: "contacts.imported",
      summary: "Imports contacts from CSV: all rows or none",
      description: `The first line names the columns: \`name\`, and any of \`email\`, \`phone\`, \`company\`, \`address\`, \`age\`, \`gender\`, \`notes\`; columns that only an export has are ignored. UTF-8, at most ${maxImportBytes} bytes. If any row is invalid, nothing is imported and the problem response contains the report.`,
      query: Type.Object({
        dry_run: flag("Only reports what an import would do."),
        partial: flag("Imports the valid rows, in one transaction, even if others are invalid."),
      }),
      body: bytesBody({ maxBytes: maxImportBytes, type: "text/csv" }),
      response: ImportReport,
      atATime: "imports",
      errors: [malformedCsv, importRefused, bodyTooLarge],
    },
    ({ db, query, body, audit, events }) =>
      importContacts({
        db,
        audit,
        events,
        bytes: body.bytes,
        check: checkContact,
        dryRun: query.dry_run ?? false,
        partial: query.partial ?? false,
      }),
  ),

  r.post(
    "/contacts",
    {
      permission: "contacts:write",
      audit: { none: "everyday data" },
      summary: "Adds a contact",
      body: NewContact,
      response: { 201: Contact },
    },
    ({ body, events }) =>
      events.recording("contact.created", (db) => createContact.jsonOrThrow(db, body)),
  ),

  r.get(
    "/contacts/:id",
    {
      permission: "contacts:read",
      summary: "Returns a contact",
      params: idParams,
      response: Contact,
      etag: "contacts",
      errors: [contactNotFound],
    },
    ({ db, params }) => findContact.json(db, params).then(orThrow(contactNotFound)),
  ),

  r.patch(
    "/contacts/:id",
    {
      permission: "contacts:write",
      audit: { none: "everyday data" },
      summary: "Changes a contact; null clears a field",
      params: idParams,
      body: ContactChanges,
      response: Contact,
      errors: [contactNotFound],
    },
    ({ params, body, events }) =>
      events
        .recording("contact.updated", (db) => updateContact.json(db, { ...body, id: params.id }))
        .then(orThrow(contactNotFound)),
  ),

  r.delete(
    "/contacts/:id",
    {
      permission: "contacts:write",
      audit: { none: "everyday data" },
      summary: "Deletes a contact",
      params: idParams,
      response: { 204: null },
      errors: [contactNotFound],
    },
    async ({ params, events }) => {
      const deleting = events.recording("contact.deleted", (db) => deleteContact.first(db, params));
      await deleting.then(orThrow(contactNotFound));
    },
  ),
];
