import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

/** The id and HTML of a captured e-mail, and an administrator's token. */
async function setUp() {
  const { account, token } = await people.newAccount();
  await people.post("/api/v1/auth/password-reset-request", { body: { email: account.email } });
  const [mail] = await people.mailsTo(account.email);
  const { account: admin } = await people.admin();
  const body = { email: admin.email, password: people.password };
  const signedIn = await people.post("/api/v1/auth/login", { body });
  const id = (mail as unknown as { id: string }).id;
  return { id, html: mail?.html, account: token, admin: signedIn.body.token as string };
}

describe("an e-mail", () => {
  it("is shown to platform administrators", async () => {
    const { id, admin, account } = await setUp();
    const one = await people.get(`/api/v1/mails/${id}`, { token: admin });
    const list = await people.get("/api/v1/mails", { token: admin });
    expect(one.body).toEqual(list.body.items.find((mail: { id: string }) => mail.id === id));
    const none = await people.get(`/api/v1/mails/${randomUUID()}`, { token: admin });
    expect(none).toMatchObject({ status: 404, body: { code: "mail_not_found" } });
    for (const path of [`/api/v1/mails/${id}`, `/api/v1/mails/${id}/preview`]) {
      expect((await people.get(path, { token: account })).status).toBe(403);
      expect((await people.get(path)).status).toBe(401);
    }
  });

  it("that was captured is a page that runs, loads and sends nothing, in frames of this origin only", async () => {
    const { id, html, admin } = await setUp();
    for (const path of [`/mails/${id}/preview`, `/dev/mails/${id}/preview`]) {
      const reply = await people.app.inject({
        url: `/api/v1${path}`,
        headers: path.startsWith("/dev") ? {} : { authorization: `Bearer ${admin}` },
      });
      expect(reply.statusCode, reply.body).toBe(200);
      expect(reply.body).toBe(html);
      expect(reply.headers).toMatchObject({
        "content-type": "text/html; charset=utf-8",
        "content-security-policy":
          "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
      });
    }
    const gone = await people.get(`/api/v1/mails/${randomUUID()}/preview`, { token: admin });
    expect(gone).toMatchObject({ status: 404, body: { code: "mail_not_captured" } });
    expect(gone.headers["content-security-policy"]).toContain("frame-ancestors 'none'");
  });
});
