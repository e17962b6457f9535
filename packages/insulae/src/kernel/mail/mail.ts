/**
 * Mail: a durable queue in the control plane (`control.mails`), and on every node a sender that
 * works it off (`sender.ts`). To send a mail is to insert a row, in the caller's transaction where
 * there is one: both happen or neither.
 */
import { type Kysely, sql } from "kysely";
import { inTurn } from "../lib/in-turn.ts";
import { shareOf } from "../lib/worker-share.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Tenant } from "../tenancy/tenant.ts";
import { canonicalEmail } from "../validation/email.ts";
import { type Brand, brandOf } from "./layout.ts";
import { createRenderer, type Renderer, type Texts } from "./renderer.ts";
import type { AnyMailTemplate, MailTemplate } from "./template.ts";

export interface NewMail<Variables> {
  readonly to: string;
  /** The tenant it is about; while that is not active, the mail is not sent. */
  readonly tenant?: Pick<Tenant, "id"> | undefined;
  /** They are kept until the mail is sent, so no secret belongs here that can be made then. */
  readonly variables: Variables;
  /**
   * For a mail that anybody can have sent to an address: how many of its kind the address gets in an
   * hour. What is more is not sent, and whoever asked for it isn't told.
   */
  readonly atMostHourly?: number | undefined;
}

export interface Mail {
  /**
   * Enqueues a mail. It is sent at once, or as soon as it can be, at least once.
   *
   * @param tx a transaction of the control plane to do it in.
   * @throws invalidEmail if `to` is not an address that we would write to.
   */
  send<Variables>(
    template: MailTemplate<Variables>,
    mail: NewMail<Variables>,
    tx?: Kysely<ControlTables>,
  ): Promise<void>;
  /** All that may be sent, by name. */
  readonly templates: ReadonlyMap<string, AnyMailTemplate>;
  /** Fills in texts, in the turn of a tenant or of the platform. */
  readonly textsOf: Renderer["of"];
  /** Ends what renders texts. */
  readonly close: () => Promise<void>;
  /** How mails of the tenant look. */
  readonly brandOf: (tenant: Tenant | undefined) => Brand;
}

/** Mail about the tenant that a request is for, or about none. */
export interface TenantMail {
  /** @throws invalidEmail if `to` is not an address that we would write to. */
  send<Variables>(
    template: MailTemplate<Variables>,
    mail: Omit<NewMail<Variables>, "tenant">,
  ): Promise<void>;
  /** What the system sends by itself, by name. */
  readonly templates: ReadonlyMap<string, AnyMailTemplate>;
  /** Fills in texts. */
  readonly texts: Texts;
  /** How the tenant's mails look. */
  readonly brand: Brand;
}

/** What a request or a job for the tenant sends mail with. */
export const tenantMail = (mail: Mail, tenant: Tenant | undefined): TenantMail => ({
  send: (template, message) => mail.send(template, { ...message, tenant }),
  templates: mail.templates,
  texts: mail.textsOf(tenant),
  get brand() {
    return mail.brandOf(tenant);
  },
});

export interface MailOptions {
  readonly control: Kysely<ControlTables>;
  /** All that may be sent. */
  readonly templates: ReadonlyMap<string, AnyMailTemplate>;
  readonly supportEmail: string | undefined;
  /** Of the node. Default 1. */
  readonly workers?: number;
}

export function createMail(options: MailOptions): Mail {
  const { control, templates, supportEmail, workers = 1 } = options;
  const renderer = createRenderer({ threads: shareOf(2, workers) });
  return {
    templates,
    textsOf: renderer.of,
    close: renderer.close,
    brandOf: (tenant) => brandOf(tenant, supportEmail),
    async send(template, { to, tenant, variables, atMostHourly }, tx) {
      if (templates.get(template.name)?.compose !== template.compose) {
        throw new Error(
          `the mail ${template.name} is not among any feature's mails; add it to the \`mails\` of the feature`,
        );
      }
      const recipient = canonicalEmail(to);
      const insert = (db: Kysely<ControlTables>) =>
        db
          .insertInto("control.mails")
          .values({
            template: template.name,
            recipient,
            tenant_id: tenant?.id ?? null,
            variables: JSON.stringify(variables),
          })
          .execute();
      if (atMostHourly === undefined) {
        await insert(tx ?? control);
        return;
      }
      const unlessTooMany = async (db: Kysely<ControlTables>) => {
        await inTurn(db, "mails", recipient);
        const sent = await countOfLastHour(db, template.name, recipient);
        if (sent < atMostHourly) await insert(db);
      };
      await (tx ? unlessTooMany(tx) : control.transaction().execute(unlessTooMany));
    },
  };
}

async function countOfLastHour(db: Kysely<ControlTables>, template: string, recipient: string) {
  const { count } = await db
    .selectFrom("control.mails")
    .select(sql<number>`count(*)::integer`.as("count"))
    .where("recipient", "=", recipient)
    .where("template", "=", template)
    .where("created_at", ">", sql<Date>`now() - interval '1 hour'`)
    .executeTakeFirstOrThrow();
  return count;
}

/** By name. @throws Error if two have one name. */
export function mailTemplates(
  features: readonly { readonly name: string; readonly mails: readonly AnyMailTemplate[] }[],
): ReadonlyMap<string, AnyMailTemplate> {
  const templates = new Map<string, AnyMailTemplate>();
  for (const template of features.flatMap(({ mails }) => mails)) {
    if (templates.has(template.name)) throw new Error(`two mails are called ${template.name}`);
    templates.set(template.name, template);
  }
  return templates;
}
