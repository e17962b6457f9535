/** Steps of invitation tests: invite, read the e-mail, accept. */
import { expect } from "vitest";
import type { Tenant } from "../kernel/model/tenant.ts";
import type { TestPeople } from "./test-people.ts";

export interface Caller {
  readonly token: string;
}

export const outcome = ({ status, body }: { status: number; body?: { code?: string } }) =>
  status < 300 ? "done" : body?.code;

export function invitationsOf(people: TestPeople) {
  async function newTenant() {
    const tenant = await people.newTenant();
    return { tenant, owner: await people.newOwner(tenant) };
  }

  const invite = ({ token }: Caller, email: string, more: object = {}) =>
    people.post("/api/v1/invitations", { token, body: { email, ...more } });

  /** Invites somebody and reads their e-mail. */
  async function invited(by: Caller, email: string, more: object = {}) {
    const { status, body } = await invite(by, email, more);
    expect(status, JSON.stringify(body)).toBe(201);
    return { id: body.id as string, secret: await tokenOf(email) };
  }

  /** The token in the newest invitation, once there are `count`. */
  async function tokenOf(email: string, count = 1): Promise<string> {
    for (let mails = 1; ; mails += 1) {
      const all = await people.mailsTo(email, mails);
      const invitations = all.filter(({ template }) => template === "invitation");
      const token = /[?&]token=([\w-]+)/.exec(invitations.at(-1)?.text ?? "")?.[1];
      if (invitations.length >= count && token) return token;
    }
  }

  const accept = (body: object, more: { token?: string; tenant?: string } = {}) =>
    people.post("/api/v1/invitations/accept", { ...more, body });
  const acceptNew = (secret: string, more: object = {}) =>
    accept({ token: secret, password: people.password, ...more });
  const preview = (secret: string, more: { tenant?: string } = {}) =>
    people.get(`/api/v1/invitations/preview?token=${secret}`, more);
  const list = async ({ token }: Caller) =>
    (await people.get("/api/v1/invitations", { token })).body.items;

  /** An account with a verified e-mail, signed in to the core. */
  async function newAccount(verified = true) {
    const made = await people.newAccount();
    if (verified) {
      await people.onPlatform(({ control }) =>
        control
          .updateTable("control.accounts")
          .set({ email_verified: true })
          .where("id", "=", made.account.id)
          .execute(),
      );
    }
    return { ...made, email: made.account.email };
  }

  const usersWith = (tenant: Tenant, email: string) =>
    people.onTenant(tenant, (db) =>
      db.query("select id, role, account_id, email_verified from users where email = $1", [email]),
    );
  const membershipsOf = (tenant: Tenant, email: string) =>
    people.onPlatform(({ control }) =>
      control
        .selectFrom("control.memberships")
        .innerJoin("control.accounts", "id", "account_id")
        .select("user_id")
        .where("tenant_id", "=", tenant.id)
        .where("email", "=", email)
        .execute(),
    );

  const findAccount = (email: string) =>
    people.onPlatform(({ control }) =>
      control
        .selectFrom("control.accounts")
        .select("id")
        .where("email", "=", email)
        .executeTakeFirst(),
    );

  return {
    newTenant,
    invite,
    invited,
    tokenOf,
    accept,
    acceptNew,
    preview,
    list,
    newAccount,
    usersWith,
    membershipsOf,
    findAccount,
  };
}
