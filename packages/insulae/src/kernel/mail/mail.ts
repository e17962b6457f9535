/**
 * E-mail: a durable queue in the control plane (`control.mails`) and a sender on every node
 * (`sender.ts`). To send is to insert a row, in the caller's transaction if there is one.
 */
import { type Kysely, sql } from "kysely";
import { inTurn } from "../lib/in-turn.ts";
import { shareOf } from "../lib/worker-share.ts";
import type { Tenant } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { canonicalEmail } from "../validation/email.ts";
import { type Brand, brandOf } from "./layout.ts";
import { createRenderer, type Renderer, type Texts } from "./renderer.ts";
import type { AnyMailTemplate, MailTemplate } from "./template.ts";

export interface NewMail<Variables> {
  readonly to: string;
  /**
   * The tenant it is about. If that is not active at the time of sending, the e-mail is dropped.
   */
  readonly tenant?: Pick<Tenant, "id"> | undefined;
  /** Stored until the e-mail is sent: leave out secrets that can be created at that time. */
  readonly variables: Variables;
  /**
   * For e-mails that anybody can trigger for any address: how many of this kind an address gets per
   * hour. Further ones are dropped silently.
   */
  readonly atMostHourly?: number | undefined;
}

export interface Mail {
  /**
   * Enqueues an e-mail. It is sent at least once, as soon as possible.
   *
   * @param tx a transaction of the control plane to enqueue it in
   * @throws invalidEmail if `to` is not a valid address
   */
  send<Variables>(
    template: MailTemplate<Variables>,
    mail: NewMail<Variables>,
    tx?: Kysely<ControlTables>,
  ): Promise<void>;
  /** All templates, by name. */
  readonly templates: ReadonlyMap<string, AnyMailTemplate>;
  /** Renders texts, in turn with other tenants and the platform. */
  readonly textsOf: Renderer["of"];
  /** Stops the renderer. */
  readonly close: () => Promise<void>;
  /** The branding of the tenant's e-mails. */
  readonly brandOf: (tenant: Tenant | undefined) => Brand;
}

/** E-mail about the tenant of a request, or about none. */
export interface TenantMail {
  /** @throws invalidEmail if `to` is not a valid address */
  send<Variables>(
    template: MailTemplate<Variables>,
    mail: Omit<NewMail<Variables>, "tenant">,
  ): Promise<void>;
  /** The templates of system e-mails, by name. */
  readonly templates: ReadonlyMap<string, AnyMailTemplate>;
  /** Renders texts. */
  readonly texts: Texts;
  /** The branding of the tenant's e-mails. */
  readonly brand: Brand;
}

/** The mail interface of a request or job of the tenant. */
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
  /** All templates. */
  readonly templates: ReadonlyMap<string, AnyMailTemplate>;
  /** Who sends what no tenant does. Default: Insulae. */
  readonly platformName?: string | undefined;
  readonly supportEmail: string | undefined;
  /** The number of worker processes on this node. Default 1. */
  readonly workers?: number;
}

export function createMail(options: MailOptions): Mail {
  const { control, templates, platformName = "Insulae", supportEmail, workers = 1 } = options;
  const renderer = createRenderer({ threads: shareOf(2, workers) });
  return {
    templates,
    textsOf: renderer.of,
    close: renderer.close,
    brandOf: (tenant) => brandOf(tenant, { name: platformName, supportEmail }),
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

/** The templates by name. @throws Error if two have the same name */
export function mailTemplates(
  features: readonly { readonly name: string; readonly mails: readonly AnyMailTemplate[] }[],
): ReadonlyMap<string, AnyMailTemplate> {
  const templates = new Map<string, AnyMailTemplate>();
  for (const template of features.flatMap(({ mails }) => mails)) {
    if (templates.has(template.name))
      throw new Error(`two mail templates have the name ${template.name}`);
    templates.set(template.name, template);
  }
  return templates;
}
