/** Tenants with users who send notifications, and helpers that wait for the outcome. */
import type { App } from "../../app/app-api.ts";
import { addMember, createMember, type TestMember } from "../../testing/fixtures.ts";
import { until } from "../../testing/until.ts";

export async function newSenders(app: App) {
  const user = await createMember(app);
  return { tenant: user.tenant, user, admin: await addMember(app, user.tenant, "admin") };
}

/** Waits until the notification has the status. */
export const settled = ({ call }: TestMember, id: string, status = "sent") =>
  until(`the notification is ${status}`, async () => {
    const { body } = await call("GET", `/notifications/history/${id}`);
    if (body.status === status) return body;
    if (body.status !== "queued") throw new Error(`it is ${body.status}: ${body.error_message}`);
  });

/** The messages captured for a recipient. */
export async function capturedFor(app: App, to: string, place: "mails" | "messages" = "mails") {
  const reply = await app.inject({ url: `/api/v1/dev/${place}?to=${encodeURIComponent(to)}` });
  return reply.json().items;
}
