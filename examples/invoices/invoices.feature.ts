import {
  defineError,
  feature,
  idParams,
  nullable,
  orThrow,
  pageOf,
  pageQuery,
  Type,
  timestamp,
  uuid,
} from "insulae";
import {
  createInvoice,
  type InvoiceTables,
  listInvoices,
  payInvoice,
  sumUnpaid,
} from "./invoices.queries.ts";

const invoiceNotFound = defineError("invoice_not_found", 404, "There is no such invoice");
const numberTaken = defineError("invoice_number_taken", 409, "Another invoice has this number");

const Amount = Type.String({ pattern: "^\\d{1,10}(\\.\\d{1,2})?$", examples: ["19.90"] });
const details = {
  number: Type.String({ minLength: 1, maxLength: 50 }),
  customer: Type.String({ minLength: 1, maxLength: 200 }),
  total: Amount,
};
const NewInvoice = Type.Object(details, { $id: "NewInvoice" });
const Invoice = Type.Object(
  { id: uuid, ...details, paid_at: nullable(timestamp), created_at: timestamp },
  { $id: "Invoice" },
);

/** What a tenant's customers have to pay. */
export const invoices = feature<InvoiceTables>("invoices", {
  permissions: {
    "invoices:read": "See invoices",
    "invoices:write": "Create invoices",
    "invoices:pay": { description: "Mark invoices as paid", role: "manager" },
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["invoices"],
  constraints: { invoices_number_key: numberTaken },
  events: {
    "invoice.created": { permission: "invoices:read", data: Invoice },
    "invoice.paid": { permission: "invoices:read", data: Invoice },
  },
  routes: (r) => [
    r.get(
      "/invoices",
      {
        permission: "invoices:read",
        summary: "Lists invoices, newest first",
        query: pageQuery(),
        response: pageOf(Invoice),
      },
      ({ db, page: { limit, after, cursor } }) =>
        listInvoices.page(db, { after: after[0] }, { limit, cursor, key: ({ id }) => [id] }),
    ),

    r.post(
      "/invoices",
      {
        permission: "invoices:write",
        audit: "invoice.created",
        summary: "Adds an invoice",
        body: NewInvoice,
        response: { 201: Invoice },
        errors: [numberTaken],
      },
      ({ events, body }) =>
        events.recording("invoice.created", (db) => createInvoice.json(db, body)),
    ),

    r.post(
      "/invoices/:id/payment",
      {
        permission: "invoices:pay",
        audit: "invoice.paid",
        summary: "Marks an invoice as paid",
        params: idParams,
        response: Invoice,
        errors: [invoiceNotFound],
      },
      ({ events, params }) =>
        events
          .recording("invoice.paid", (db) => payInvoice.json(db, params))
          .then(orThrow(invoiceNotFound)),
    ),

    r.get(
      "/invoices/unpaid",
      {
        permission: "invoices:read",
        summary: "Adds up what is not paid",
        response: Type.Object({ unpaid: Amount }),
      },
      ({ db }) => sumUnpaid.json(db),
    ),
  ],
});
