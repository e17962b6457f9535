import type { Kysely } from "kysely";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Delivery, OutgoingMail, OutgoingPush, OutgoingText } from "./message.ts";

type Captured = Pick<OutgoingMail, "id" | "tenant" | "template">;

const keptMessages = 200;

/** Sends nothing: stores the newest messages of all tenants for reading. */
export function captureMessages(
  control: Kysely<ControlTables>,
): Pick<Delivery, "mail" | "text" | "push"> {
  const keep = async (
    channel: "email" | "sms" | "push",
    { id, tenant, template }: Captured,
    recipient: string,
    content: Record<string, string>,
  ) => {
    await control
      .insertInto("control.captured_messages")
      .values({
        id,
        tenant_id: tenant?.id ?? null,
        channel,
        template: template ?? null,
        recipient,
        content: JSON.stringify(content),
      })
      // A message sent again replaces nothing and is stored once.
      .onConflict((conflict) => conflict.column("id").doNothing())
      .execute();
    await forgetOld(control, channel);
  };
  return {
    mail: (mail: OutgoingMail) => {
      const { subject, text, html } = mail;
      return keep("email", mail, mail.to, { subject, text, html });
    },
    text: (text: OutgoingText) => keep("sms", text, text.to, { text: text.text }),
    push: (push: OutgoingPush) =>
      keep("push", push, typeof push.to === "string" ? push.to : push.to.endpoint, {
        title: push.title,
        text: push.text,
      }),
  };
}

/** Deletes all but the newest messages of a channel. */
const forgetOld = (control: Kysely<ControlTables>, channel: "email" | "sms" | "push") =>
  control
    .deleteFrom("control.captured_messages")
    .where("channel", "=", channel)
    .where("id", "<=", (eb) =>
      eb
        .selectFrom("control.captured_messages")
        .select("id")
        .where("channel", "=", channel)
        .orderBy("id", "desc")
        .offset(keptMessages)
        .limit(1),
    )
    .execute();
