import type { Call, Reply } from "./scenario-calls.ts";
import { until } from "./until.ts";

/** Templates, sent and unsent notifications, and a push subscription. */
export async function notify({
  call,
  token,
}: {
  readonly call: (route: string, asked?: Call) => Promise<Reply>;
  readonly token: string;
}): Promise<void> {
  const texts = { subject: "Hello {{ name }}", body: "Dear {{ name }}" };
  const template = { name: "hello", type: "email", ...texts, variables: { name: {} } };
  const templates = "/notifications/templates";
  const params = { id: (await call(`POST ${templates}`, { token, body: template })).body.id };
  await call(`POST ${templates}/:id/preview`, { token, params, body: {} });
  await call(`PATCH ${templates}/:id`, { token, params, body: { subject: "Hi {{ name }}" } });

  const recipient = "grace@example.org";
  const suppressions = "/notifications/suppressions";
  const entry = { type: "email", recipient };
  const suppressed = (await call(`POST ${suppressions}`, { token, body: entry })).body;
  const wanted = { recipient, template_name: "hello", template_vars: { name: "Grace" } };
  const sent = (await call("POST /notifications/email", { token, body: wanted })).body;
  const one = { id: sent.message_id };
  await until("the notification is no longer queued", async () => {
    const { body } = await call("GET /notifications/history/:id", { token, params: one });
    return body.status !== "queued";
  });
  await call(`DELETE ${suppressions}/:id`, { token, params: { id: suppressed.id } });
  await call("POST /notifications/history/:id/retry", { token, params: one });
  const sms = { recipient: "+41791234567", body: "Hello" };
  await call("POST /notifications/sms", { token, body: sms });
  const push = { recipient: "device-token", subject: "Hello", body: "You" };
  await call("POST /notifications/push", { token, body: push });
  await call(`DELETE ${templates}/:id`, { token, params });

  const browser = {
    endpoint: "https://push.example.com/1",
    keys: { p256dh: "A".repeat(87), auth: "A".repeat(22) },
  };
  const subscriptions = "/notifications/push/subscriptions";
  const { id } = (await call(`POST ${subscriptions}`, { token, body: browser })).body;
  await call(`DELETE ${subscriptions}/:id`, { token, params: { id } });
}
