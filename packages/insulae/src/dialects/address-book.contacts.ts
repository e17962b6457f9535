/**
 * The address book's contacts. Its published client reads the list from `contacts`, unless the
 * response has a member `data`, which it takes for everything; so responses have none.
 */
import { type Kysely, type SqlBool, sql } from "kysely";
import { Type } from "typebox";
import {
  type ContactTables,
  contactNotFound,
  createContact,
  deleteContact,
  findContact,
  updateContact,
} from "../features/contacts/contacts.feature.ts";
import { containing } from "../kernel/data/like.ts";
import { searched, searching } from "../kernel/data/search.ts";
import type { RouteBuilder } from "../kernel/feature/feature.ts";
import { idParams, nameText, nullable, oneOf, timestamp, uuid } from "../kernel/feature/fields.ts";
import { orThrow } from "../kernel/lib/errors.ts";
import type { Tenant } from "../kernel/model/tenant.ts";
import { Done, addressBookErrors as errorShape } from "./address-book.errors.ts";
import {
  bracketFilters,
  type Filter,
  filtersOf,
  listParts,
  only,
  partOf,
  partShown,
  showPart,
} from "./shared.ts";

/** Its tenants are identified by host, and plain `localhost` is one of them. */
const place = { defaultTenant: true } as const;

const Name = nameText(200);
const Mailbox = Type.String({ format: "idn-email", maxLength: 254 });
const Phone = nullable(Type.String({ minLength: 1, maxLength: 50 }));
const Age = nullable(Type.Integer({ minimum: 0, maximum: 150 }));
const Address = nullable(Type.String({ maxLength: 500 }));
const Gender = Type.Union(
  [Type.Boolean(), Type.Literal("male"), Type.Literal("female"), Type.Null()],
  { description: "true: male, false: female." },
);

const Contact = Type.Object(
  {
    id: uuid,
    tenant_id: Type.String({ description: "The tenant's key." }),
    name: Type.String(),
    email: nullable(Type.String()),
    phone: Phone,
    gender: Type.Union([Type.Boolean(), Type.String(), Type.Null()], {
      description: "true: male, false: female; any other value of a contact as text.",
    }),
    age: Age,
    address: Address,
    created_at: timestamp,
    updated_at: timestamp,
  },
  { $id: "AddressBookContact" },
);
const details = {
  phone: Type.Optional(Phone),
  gender: Type.Optional(Gender),
  age: Type.Optional(Age),
  address: Type.Optional(Address),
};
const NewContact = Type.Object(
  { name: Name, email: Mailbox, ...details },
  { $id: "NewAddressBookContact" },
);
const ContactChanges = Type.Object(
  { name: Type.Optional(Name), email: Type.Optional(Mailbox), ...details },
  { $id: "AddressBookContactChanges", minProperties: 1 },
);
const ContactPage = Type.Object(
  { contacts: Type.Array(Contact), ...partShown },
  { $id: "AddressBookPage" },
);

const columns = [
  "id",
  "name",
  "email",
  "phone",
  "gender",
  "age",
  "address",
  "created_at",
  "updated_at",
] as const;
type Row = Pick<
  NonNullable<Awaited<ReturnType<typeof findContact.first>>>,
  (typeof columns)[number]
>;

const viewOf =
  ({ key }: Tenant) =>
  ({ id, name, email, phone, gender, age, address, created_at, updated_at }: Row) => ({
    id,
    tenant_id: key,
    name,
    email,
    phone,
    gender: gender === "male" ? true : gender === "female" ? false : gender,
    age,
    address,
    created_at,
    updated_at,
  });

/** The body with gender in the column's form. */
const rowOf = <Body extends { readonly gender?: boolean | string | null }>({
  gender,
  ...others
}: Body) => ({
  ...others,
  ...(gender !== undefined && {
    gender: typeof gender === "boolean" ? (gender ? "male" : "female") : gender,
  }),
});

const sortable = ["id", "name", "email", "phone", "age", "address", "created_at", "updated_at"];
const filterable = ["name", "email", "phone", "address", "age"] as const;
const Text = Type.Optional(Type.String({ maxLength: 200 }));
const Column = oneOf(sortable);
const Order = Type.Union([Type.Literal("asc"), Type.Literal("desc")]);

const listQuery = {
  ...listParts,
  search: Type.Optional(
    Type.String({
      maxLength: 200,
      description: "Searches name, e-mail, phone and company, ignoring case.",
    }),
  ),
  sort_by: Type.Optional(Column),
  sort_order: Type.Optional(Order),
  sort: Type.Optional(
    Type.String({
      pattern: `^(${sortable.join("|")})(,(asc|desc))?$`,
      examples: ["name,asc"],
      description: "`sort_by` and `sort_order` in one.",
    }),
  ),
};
const filterQuery = {
  ...listQuery,
  name: Text,
  email: Text,
  phone: Text,
  address: Text,
  age: Type.Optional(Type.Integer({ minimum: 0, maximum: 150 })),
  gender: Type.Optional(Type.Boolean()),
  ...bracketFilters(filterable),
};

interface ListQuery {
  readonly search?: string;
  readonly sort_by?: string;
  readonly sort_order?: string;
  readonly sort?: string;
}

function orderOf(query: ListQuery) {
  only(query, ["sort", "sort_by"]);
  const [column = query.sort_by ?? "id", order = query.sort_order] = query.sort?.split(",") ?? [];
  // Newest first by default.
  const direction = sql.raw(order === "desc" || (!order && column === "id") ? "desc" : "asc");
  const text = ["name", "email"].includes(column);
  const key = text ? sql`lower(${sql.ref(column)})` : sql.ref(column);
  return sql`${key} ${direction} nulls last, id ${direction}`;
}

const equal = (column: string, value: unknown) =>
  sql<SqlBool>`lower(${sql.ref(column)}::text) = lower(${String(value)})`;
const has = (column: string, text: string) =>
  sql<SqlBool>`${sql.ref(column)}::text ilike ${containing(text)}`;

function conditionOf({ field, operator, value }: Filter) {
  if (operator === "contains" || operator === "like") return has(field, value);
  return operator === "ne" ? sql<SqlBool>`${equal(field, value)} is not true` : equal(field, value);
}

async function listContacts(
  db: Kysely<ContactTables>,
  tenant: Tenant,
  query: ListQuery & Parameters<typeof partOf>[0],
  {
    conditions = [],
    defaultSize = 200,
  }: { conditions?: ReturnType<typeof has>[]; defaultSize?: number } = {},
) {
  const part = partOf(query, defaultSize);
  const order = orderOf(query);
  const text = query.search === "" ? undefined : query.search;
  return searching(db, { text }, async (from) => {
    let found = from.selectFrom(searched("contacts", text));
    if (text !== undefined) {
      const pattern = containing(text);
      found = found.where((contact) =>
        contact.or(
          (["name", "email", "phone", "company"] as const).map((column) =>
            contact(column, "ilike", pattern),
          ),
        ),
      );
    }
    for (const condition of conditions) found = found.where(condition);
    const rows = found.select(columns).orderBy(order).limit(part.size).offset(part.offset);
    const counted = found.select(sql<number>`count(*)::integer`.as("total"));
    const [contacts, { total }] = await Promise.all([
      rows.execute(),
      counted.executeTakeFirstOrThrow(),
    ]);
    return { contacts: contacts.map(viewOf(tenant)), ...showPart(part, total) };
  });
}

export const contactRoutes = (r: RouteBuilder<ContactTables>["absolute"]) => [
  r.get(
    "/api/address-book",
    {
      ...place,
      permission: "contacts:read",
      summary: "Lists contacts, newest first",
      query: Type.Object(listQuery),
      response: ContactPage,
      errorShape,
    },
    ({ db, tenant, query }) => listContacts(db, tenant, query),
  ),

  r.get(
    "/api/address-book/filter",
    {
      ...place,
      permission: "contacts:read",
      summary: "Lists the contacts that match all given fields, newest first",
      description: "`name`, `email`, `phone` and `address` match parts of the text, ignoring case.",
      query: Type.Object(filterQuery),
      response: ContactPage,
      errorShape,
    },
    ({ db, tenant, query }) => {
      const { age, gender } = query;
      const texts = (["name", "email", "phone", "address"] as const).flatMap((column) =>
        query[column] ? [has(column, query[column])] : [],
      );
      const conditions = [
        ...texts,
        ...(age === undefined ? [] : [equal("age", age)]),
        ...(gender === undefined ? [] : [equal("gender", gender ? "male" : "female")]),
        ...filtersOf(query).map(conditionOf),
      ];
      return listContacts(db, tenant, query, { conditions, defaultSize: 10 });
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
    ({ events, tenant, body }) =>
      events
        .recording("contact.created", (db) => createContact.first(db, rowOf(body)))
        .then(orThrow(contactNotFound))
        .then(viewOf(tenant)),
  ),

  r.get(
    "/api/address-book/:id",
    {
      ...place,
      permission: "contacts:read",
      summary: "Returns a contact",
      params: idParams,
      response: Contact,
      errors: [contactNotFound],
      errorShape,
    },
    ({ db, tenant, params }) =>
      findContact.first(db, params).then(orThrow(contactNotFound)).then(viewOf(tenant)),
  ),

  ...(["put", "patch"] as const).map((method) =>
    r[method](
      "/api/address-book/:id",
      {
        ...place,
        permission: "contacts:write",
        audit: { none: "everyday data" },
        summary: "Changes a contact; absent fields stay unchanged",
        params: idParams,
        body: ContactChanges,
        response: Contact,
        errors: [contactNotFound],
        errorShape,
      },
      ({ events, tenant, params, body }) =>
        events
          .recording("contact.updated", (db) =>
            updateContact.first(db, { ...rowOf(body), id: params.id }),
          )
          .then(orThrow(contactNotFound))
          .then(viewOf(tenant)),
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
      response: Done,
      errors: [contactNotFound],
      errorShape,
    },
    async ({ events, params }) => {
      const deleting = events.recording("contact.deleted", (db) => deleteContact.first(db, params));
      await deleting.then(orThrow(contactNotFound));
      return { message: "Contact deleted" };
    },
  ),
];
