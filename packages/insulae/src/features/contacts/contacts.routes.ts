import { Type } from "typebox";
import { defineError, orThrow } from "../../kernel/errors.ts";
import type { RouteBuilder } from "../../kernel/feature.ts";
import { idParams, nullable, timestamp, uuid } from "../../kernel/http/fields.ts";
import { pageOf, pageQuery, searchText, totalWanted } from "../../kernel/http/page.ts";
import {
  type ContactTables,
  createContact,
  deleteContact,
  findContact,
  listContacts,
  updateContact,
} from "./contacts.queries.ts";

export const contactNotFound = defineError("contact_not_found", 404, "There is no such contact");

const Name = Type.String({ minLength: 1, maxLength: 200, pattern: "\\S" });
const Email = nullable(Type.String({ format: "email", maxLength: 254 }));
const Phone = nullable(Type.String({ minLength: 1, maxLength: 50 }));
const Company = nullable(Type.String({ maxLength: 200 }));
const Notes = nullable(Type.String({ maxLength: 10_000 }));

const Contact = Type.Object(
  {
    id: uuid,
    name: Name,
    email: Email,
    phone: Phone,
    company: Company,
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
  notes: Type.Optional(Notes),
};
const NewContact = Type.Object({ name: Name, ...details }, { $id: "NewContact" });
const ContactChanges = Type.Object(
  { name: Type.Optional(Name), ...details },
  { $id: "ContactChanges", minProperties: 1 },
);

export const contactRoutes = (r: RouteBuilder<ContactTables>) => [
  r.get(
    "/contacts",
    {
      permission: "contacts:read",
      summary: "Lists contacts, newest first or by name",
      description: "`q` is looked for in name, e-mail, phone and company, in upper or lower case.",
      query: pageQuery({
        q: searchText,
        sort: Type.Optional(Type.Union([Type.Literal("newest"), Type.Literal("name")])),
        total: totalWanted,
      }),
      response: pageOf(Contact),
    },
    ({ db, query, page }) => listContacts(db, query, page),
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
    ({ db, body }) => createContact.json(db, body),
  ),

  r.get(
    "/contacts/:id",
    {
      permission: "contacts:read",
      summary: "Shows a contact",
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
    ({ db, params, body }) =>
      updateContact.json(db, { ...body, id: params.id }).then(orThrow(contactNotFound)),
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
    async ({ db, params }) => {
      await deleteContact.first(db, params).then(orThrow(contactNotFound));
    },
  ),
];
