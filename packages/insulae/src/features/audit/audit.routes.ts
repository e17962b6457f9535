import { type Static, Type } from "typebox";
import { auditOutcomes } from "../../kernel/audit/audit.ts";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { mediaText, nullable, oneOf, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { type Page, pageOf, pageQuery } from "../../kernel/feature/page.ts";
import { textRespellerOf } from "../../kernel/lib/times-in-text.ts";
import { type AuditTables, platformAudit, platformLog, tenantAudit } from "./audit.queries.ts";

const Text = nullable(Type.String());

const AuditEntry = Type.Object(
  {
    seq: Type.Integer({ description: "1, 2, 3 … without gaps, in commit order." }),
    id: uuid,
    at: timestamp,
    action: Type.String({ examples: ["user.deleted"] }),
    outcome: oneOf(auditOutcomes),
    actor_kind: Type.String({
      description: "user, account, api_key, certificate, system or anonymous",
    }),
    actor_id: Text,
    actor_name: nullable(Type.String({ description: "The actor's e-mail or name at that time." })),
    impersonator: nullable(
      Type.String({ description: "The account that was impersonating the actor." }),
    ),
    target_type: Text,
    target_id: Text,
    ip: Text,
    user_agent: Text,
    request_id: Text,
    detail: Type.Record(Type.String(), Type.Unknown()),
    previous_hash: Text,
    hash: Type.String({
      description: "SHA-256 of the entry and the previous entry's hash, in hexadecimal.",
    }),
    hashed: Type.Optional(
      Type.String({ description: "With `hashed=true`: the text that `hash` is of, in UTF-8." }),
    ),
  },
  { $id: "AuditEntry" },
);

const filters = {
  action: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 100,
      description: "An action, or all that begin alike: `user.*`.",
      examples: ["user.deleted", "user.*"],
    }),
  ),
  outcome: Type.Optional(AuditEntry.properties.outcome),
  actor: Type.Optional(Type.String({ maxLength: 100, description: "The id of the actor." })),
  target: Type.Optional(
    Type.String({ maxLength: 500, description: "The id of the object acted on." }),
  ),
  from: Type.Optional(timestamp),
  to: Type.Optional(Type.String({ format: "date-time", description: "Before this time." })),
};
/** UUIDs are stored in lower case. Other target ids are stored as given. */
const idIn = (text: string | undefined) =>
  text !== undefined && /^[0-9A-F-]{36}$/i.test(text) ? text.toLowerCase() : text;

const Filter = Type.Object(filters);
const List = pageQuery({
  ...filters,
  hashed: Type.Optional(
    Type.Boolean({ description: "Adds to each entry the text that its hash is of." }),
  ),
});

const Lines = mediaText("application/x-ndjson", {
  description: "One entry per line, as JSON, oldest first.",
});

const respell = textRespellerOf(Type.Array(AuditEntry));

const filterOf = ({ action, outcome, actor, target, from, to }: Static<typeof Filter>) => ({
  ...(action?.endsWith(".*") ? { actionPrefix: action.slice(0, -1) } : { action }),
  ...{ outcome, from, to },
  actor: idIn(actor),
  target: idIn(target),
});

/** Present or absent: a statement has a form for either. */
const withHashed = ({ hashed }: { readonly hashed?: boolean }) => (hashed ? { hashed } : {});

const pageOptions = ({ limit, cursor }: Page) => ({
  limit,
  cursor,
  key: ({ seq }: { seq: unknown }) => [seq],
});

export const auditRoutes = (r: RouteBuilder<AuditTables>) => [
  r.get(
    "/audit",
    {
      permission: "audit:read",
      summary: "Lists the tenant's audit log, newest first",
      query: List,
      response: pageOf(AuditEntry),
    },
    ({ db, query, page }) =>
      tenantAudit.newest.page(
        db,
        { ...filterOf(query), ...withHashed(query), before: page.after[0] },
        pageOptions(page),
      ),
  ),

  r.get(
    "/audit/export",
    {
      permission: "audit:read",
      audit: "audit.exported",
      summary: "Exports the tenant's audit log as JSON lines",
      query: Filter,
      response: Lines,
      atATime: "exports",
    },
    ({ db, query, header }) => {
      header("content-type", "application/x-ndjson");
      return tenantAudit.lines(db, filterOf(query), respell);
    },
  ),

  r.get(
    "/platform/audit",
    {
      permission: "platform",
      context: "core",
      summary: "Lists the platform's audit log, newest first",
      query: List,
      response: pageOf(AuditEntry),
    },
    async ({ platform, query, page }) =>
      platformAudit.newest.page(
        await platformLog(platform.control),
        { ...filterOf(query), ...withHashed(query), before: page.after[0] },
        pageOptions(page),
      ),
  ),

  r.get(
    "/platform/audit/export",
    {
      permission: "platform",
      context: "core",
      audit: "audit.exported",
      summary: "Exports the platform's audit log as JSON lines",
      query: Filter,
      response: Lines,
      atATime: "exports",
    },
    async ({ platform, query, header }) => {
      header("content-type", "application/x-ndjson");
      return platformAudit.lines(await platformLog(platform.control), filterOf(query), respell);
    },
  ),
];
