/**
 * The dialect of an address book with live logs. The tenant is the host's; plain `localhost` means
 * `DEFAULT_TENANT`. A tenant in a body is ignored, as its document says: it is not even looked at.
 */
import { STATUS_CODES } from "node:http";
import { Type } from "typebox";
import { invitationOnly, register } from "../features/accounts/accounts.feature.ts";
import {
  type ContactTables,
  contactNotFound,
  createContact,
  deleteContact,
  findContact,
  updateContact,
} from "../features/contacts/contacts.feature.ts";
import {
  Email,
  emailTaken,
  NewPassword,
  Username,
  usernameTaken,
} from "../features/users/users.feature.ts";
import { canonicalEmail } from "../kernel/auth/email.ts";
import { authenticationRequired, invalidToken } from "../kernel/auth/errors.ts";
import { weakPassword } from "../kernel/auth/passwords.ts";
import { type AppError, orThrow } from "../kernel/errors.ts";
import { type ErrorShape, feature, type RouteBuilder } from "../kernel/feature.ts";
import { idParams, nullable, uuid } from "../kernel/http/fields.ts";
import { messageOf, pageNumbers, pageOf, tenantOrDefault } from "./shared.ts";

/** What its document says instead of our titles. */
const messages: Readonly<Record<string, string>> = {
  [authenticationRequired.code]: "Missing authorization header",
  [invalidToken.code]: "Invalid token",
};

export const addressBookErrors: ErrorShape = {
  schema: Type.Object(
    { status: Type.Integer(), error: Type.String(), message: Type.String() },
    { $id: "AddressBookError" },
  ),
  statusOf,
  bodyOf: (error) => ({
    status: statusOf(error),
    error: STATUS_CODES[statusOf(error)],
    message: messages[error.code] ?? messageOf(error),
  }),
};

/** What is taken is a mistake like any other there. */
function statusOf({ code, status }: AppError): number {
  return code === emailTaken.code || code === usernameTaken.code ? 400 : status;
}
const errorShape = addressBookErrors;
/** Its tenants are hosts', and plain `localhost` is one. */
const place = { defaultTenant: true } as const;

/** Ignored: see above. */
export const ignoredTenant = {
  tenant: Type.Optional(Type.Unknown()),
  tenant_id: Type.Optional(Type.Unknown()),
};

const Name = Type.String({ minLength: 1, maxLength: 200, pattern: "\\S" });
const Mailbox = Type.String({ format: "idn-email", maxLength: 254 });
const Phone = nullable(Type.String({ minLength: 1, maxLength: 50 }));

const Contact = Type.Object(
  { id: uuid, name: Type.String(), email: nullable(Type.String()), phone: Phone },
  { $id: "AddressBookContact" },
);
const NewContact = Type.Object(
  { name: Name, email: Mailbox, phone: Type.Optional(Phone) },
  { $id: "NewAddressBookContact" },
);
const ContactChanges = Type.Object(
  { name: Type.Optional(Name), email: Type.Optional(Mailbox), phone: Type.Optional(Phone) },
  { $id: "AddressBookContactChanges", minProperties: 1 },
);

interface Row {
  readonly id: string;
  readonly name: string;
  readonly email: string | null;
  readonly phone: string | null;
}

const viewOf = ({ id, name, email, phone }: Row) => ({ id, name, email, phone });

const addressBookRoutes = (r: RouteBuilder<ContactTables>["absolute"]) => [
  r.get(
    "/api/address-book",
    {
      ...place,
      permission: "contacts:read",
      summary: "Lists contacts, newest first",
      query: Type.Object(pageNumbers),
      response: Type.Array(Contact),
      errorShape,
    },
    async ({ db, query }) => {
      const { size, offset } = pageOf({ page_size: 200, ...query });
      const page = db.selectFrom("contacts").select(["id", "name", "email", "phone"]);
      return page.orderBy("id", "desc").limit(size).offset(offset).execute();
    },
  ),

  r.post(
    "/api/address-book",
    {
      ...place,
      permission: "contacts:write",
      audit: { none: "everyday data" },
      summary: "Adds a contact",
      body: NewContact,
      response: { 201: Contact },
      errorShape,
    },
    ({ events, body }) =>
      events
        .recording("contact.created", (db) => createContact.first(db, body))
        .then(orThrow(contactNotFound))
        .then(viewOf),
  ),

  r.get(
    "/api/address-book/:id",
    {
      ...place,
      permission: "contacts:read",
      summary: "Shows a contact",
      params: idParams,
      response: Contact,
      errors: [contactNotFound],
      errorShape,
    },
    ({ db, params }) => findContact.first(db, params).then(orThrow(contactNotFound)).then(viewOf),
  ),

  ...(["put", "patch"] as const).map((method) =>
    r[method](
      "/api/address-book/:id",
      {
        ...place,
        permission: "contacts:write",
        audit: { none: "everyday data" },
        summary: "Changes a contact; what is absent stays",
        params: idParams,
        body: ContactChanges,
        response: Contact,
        errors: [contactNotFound],
        errorShape,
      },
      ({ events, params, body }) =>
        events
          .recording("contact.updated", (db) => updateContact.first(db, { ...body, id: params.id }))
          .then(orThrow(contactNotFound))
          .then(viewOf),
    ),
  ),

  r.delete(
    "/api/address-book/:id",
    {
      ...place,
      permission: "contacts:write",
      audit: { none: "everyday data" },
      summary: "Deletes a contact",
      params: idParams,
      response: { 204: null },
      errors: [contactNotFound],
      errorShape,
    },
    async ({ events, params }) => {
      const deleting = events.recording("contact.deleted", (db) => deleteContact.first(db, params));
      await deleting.then(orThrow(contactNotFound));
    },
  ),
];

export const addressBook = feature<ContactTables>("address-book", {
  dependsOn: ["contacts"],
  routes: ({ absolute: r }) => [
    r.post(
      "/api/auth/signup",
      {
        permission: "public",
        context: "any",
        limit: "credentials",
        audit: "auth.registered",
        summary: "Registers a user of the tenant",
        body: Type.Object({
          username: Username,
          email: Email,
          password: NewPassword,
          ...ignoredTenant,
        }),
        unknownTenant() {
          throw invitationOnly();
        },
        response: {
          201: Type.Object({
            message: Type.String(),
            user: Type.Object({ username: Type.String(), email: Type.String() }),
          }),
        },
        errors: [weakPassword],
        errorShape,
      },
      async ({ platform, request, tenant, body, audit, log }) => {
        const { username, email, password } = body;
        const where = await tenantOrDefault(platform, tenant);
        const setting = { platform, request, audit, log };
        await register(setting, where, { username, email, password }, { firstOwns: !tenant });
        // The same, whether or not the e-mail has to be verified first.
        return { message: "User registered", user: { username, email: canonicalEmail(email) } };
      },
    ),

    ...addressBookRoutes(r),

    r.get(
      "/api/logs",
      {
        permission: "public",
        context: "core",
        summary: "Gone: the log is streamed over a WebSocket",
        response: {
          410: Type.Object({
            status: Type.Literal(410),
            error: Type.Literal("Gone"),
            message: Type.String(),
            websocket_url: Type.String(),
          }),
        },
        errorShape,
      },
      ({ request, status }) => {
        status(410);
        const url = new URL("/api/ws/logs", request.baseUrl);
        url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
        const message = "Gone since v0.2.0: the log is streamed over a WebSocket";
        return { status: 410, error: "Gone", message, websocket_url: url.href };
      },
    ),

    r.get(
      "/api/ping",
      {
        permission: "public",
        context: "core",
        summary: "Says pong",
        response: Type.Object({ message: Type.Literal("pong") }),
        errorShape,
      },
      () => ({ message: "pong" }),
    ),
  ],
});
