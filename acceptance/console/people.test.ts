/** What each role sees of a tenant, and an administrator who acts for one of its users. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { type StartedConsole, startConsole } from "./harness.ts";
import { type Ask, makeTenant, makeUser } from "./people.ts";

let started: StartedConsole;
let owner: Ask;

/** The permission that each entry of a tenant's menu takes; none: everybody has it. */
const menu: Readonly<Record<string, string>> = {
  "": "",
  data: "",
  files: "files:read",
  users: "users:read",
  invitations: "users:write",
  roles: "roles:read",
  "sign-in": "tenants:manage",
  "identity-providers": "identity-providers:read",
  "api-keys": "api-keys:read",
  webhooks: "webhooks:read",
  notifications: "notifications:read",
  jobs: "jobs:read",
  logs: "logs:read",
  audit: "audit:read",
  usage: "usage:read",
  hosts: "tenants:manage",
  settings: "tenants:manage",
};

const navigation = (page: Page) => page.getByRole("navigation", { name: "Menu" });

/** The entries of the menu, below `/t/acme/`. */
const entriesOf = async (page: Page): Promise<string[]> => {
  const links = await navigation(page).getByRole("link").all();
  const paths = await Promise.all(links.map((link) => link.getAttribute("href")));
  return paths.map((path) => /\/t\/acme\/?(.*)$/.exec(path ?? "")?.[1] ?? `? ${path}`);
};

describe.skipIf(!browserPath)("in a tenant", () => {
  beforeAll(async () => {
    started = await startConsole();
    owner = await makeTenant(started.url, { key: "acme", name: "Acme" });
  }, 180_000);
  afterAll(() => started?.stop());

  test.each(["owner", "admin", "manager", "user", "viewer"])(
    "the menu of the role %s is what its permissions allow, and none of it is refused",
    async (role) => {
      const person = await makeUser(owner, role);
      const page = await started.openAs(person, "", { tenant: "acme" });
      await started.settled(page);
      const me = await page.evaluate<{ permissions: string[]; role: string }>(
        `fetch("/api/v1/auth/me").then((response) => response.json())`,
      );
      expect(me.role).toBe(role);
      const isPermitted = (permission: string) =>
        permission === "" || me.permissions.includes(permission);
      const shown = await entriesOf(page);
      expect(shown.toSorted()).toEqual(
        Object.keys(menu)
          .filter((path) => isPermitted(menu[path] ?? "?"))
          .toSorted(),
      );
      const forbidden = page.getByRole("heading", { name: "You may not see this" });
      for (const link of await navigation(page).getByRole("link").all()) {
        await link.click();
        await started.settled(page);
        expect(await forbidden.count(), page.url()).toBe(0);
      }
      for (const path of Object.keys(menu).filter((each) => !shown.includes(each))) {
        await page.goto(`${new URL(page.url()).origin}/console/t/acme/${path}`);
        await forbidden.waitFor();
      }
      started.expectFaultless(page);
      await page.context().clearCookies();
      await page.close();
    },
  );

  test("an administrator acts for a user, visibly and with a reason, until it is stopped", async () => {
    const reason = "Ticket 42: cannot export";
    const page = await started.openAsAdmin("p/tenants/acme?tab=users");
    const row = page.getByRole("row").filter({ hasText: "manager@example.org" });
    await row.getByRole("button", { name: "Act as" }).click();
    const form = page.getByRole("dialog", { name: "Act as manager@example.org" });
    await form.getByRole("button", { name: "Act as" }).click();
    await form.locator("[aria-invalid=true]").waitFor();
    await form.getByLabel("Reason").fill(reason);
    const tab = await started.tabOf(() => form.getByRole("button", { name: "Act as" }).click());
    const bar = tab.getByRole("region", { name: "You are acting as" });
    await bar.getByText("manager@example.org").waitFor();
    for (const link of await navigation(tab).getByRole("link").all()) {
      await link.click();
      await started.settled(tab);
      expect(await bar.textContent()).toMatch(/manager@example\.org.*Ticket 42.*left/);
    }
    await started.expectAccessible(tab);
    await tab.reload();
    await bar.getByText(reason).waitFor();
    started.expectFaultless(tab);
    const closed = tab.waitForEvent("close");
    await bar.getByRole("button", { name: "Stop and close" }).click();
    await closed;

    await page.reload();
    await row.waitFor();
    started.expectFaultless(page);
    await page.context().clearCookies();
    await page.close();

    const { items } = await owner("GET", "/users?q=admin@");
    const person = { login: items[0].email, password: "a-Fine-passphrase-7" };
    const own = await started.openAs(person, "t/acme/audit?action=impersonation.*", {
      tenant: "acme",
    });
    await own.getByText("impersonation.started").first().waitFor();
    await own.getByText("impersonation.ended").first().waitFor();
    started.expectFaultless(own);
    await own.close();
  });
});
