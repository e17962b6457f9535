/** Turns between tenants, in an app whose mails take as long as the test wants. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { databaseUnavailable } from "../engine/errors.ts";
import { feature } from "../feature/feature.ts";
import { mailTemplate } from "../feature/mail-template.ts";

const begun: string[] = [];
const held: (() => void)[] = [];
const mails = {
  slow: mailTemplate<object>(
    { name: "slow", about: "In these tests", subject: "Slow", body: [] },
    async (_, { to }) => {
      begun.push(to);
      await new Promise<void>((resolve) => held.push(resolve));
      return {};
    },
  ),
  quick: mailTemplate<object>(
    { name: "quick", about: "In these tests", subject: "Quick", body: [] },
    (_, { to }) => {
      begun.push(to);
      return {};
    },
  ),
};

const away = mailTemplate<object>(
  { name: "away", about: "In these tests", subject: "Away", body: [] },
  () => Promise.reject(databaseUnavailable()),
);

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople({
    features: [feature("greetings", { mails: [mails.slow, mails.quick, away] })],
  });
});
afterAll(async () => {
  await people?.onPlatform(({ control }) => control.deleteFrom("control.mails").execute());
  for (const release of held) release();
  await people?.close();
});

it("one tenant's slow mails delay neither another tenant's nor the platform's", async () => {
  const [busy, other] = [await people.newTenant(), await people.newTenant()];
  const others = [people.newEmail(), people.newEmail()] as const;
  await people.onPlatform(({ control }) =>
    sql`
      insert into control.mails (tenant_id, template, recipient)
      select ${busy.id}, 'slow', 'busy@example.org' from generate_series(1, 200)`.execute(control),
  );
  await expect.poll(() => held.length).toBeGreaterThanOrEqual(2);
  await people.onPlatform(async ({ mail }) => {
    await mail.send(mails.quick, { to: others[0], tenant: other, variables: {} });
    await mail.send(mails.quick, { to: others[1], variables: {} });
  });
  // Nothing of the tenant has ended.
  for (const to of others) await people.mailRow(to, "sent");
  expect(begun.filter((to) => to.startsWith("busy"))).toHaveLength(2);
  // When one of them ends, the tenant's next has its turn.
  held[0]?.();
  await expect.poll(() => begun.filter((to) => to.startsWith("busy")).length).toBe(3);
});

it("a mail is not given up because its tenant's database is away, however long", async () => {
  const tenant = await people.newTenant();
  const to = people.newEmail();
  await people.onPlatform(async ({ control, mail }) => {
    await sql`
      insert into control.mails (tenant_id, template, recipient, attempts)
      values (${tenant.id}, 'away', ${to}, 20)`.execute(control);
    await mail.send(mails.quick, { to: people.newEmail(), variables: {} });
  });
  const row = () =>
    people.onPlatform(({ control }) =>
      control
        .selectFrom("control.mails")
        .select(["state", "reason"])
        .where("recipient", "=", to)
        .executeTakeFirstOrThrow(),
    );
  await expect.poll(async () => (await row()).reason).toBe(databaseUnavailable.title);
  expect(await row()).toMatchObject({ state: "waiting" });
});
