/** Tabs in several tenants, addresses, and sessions that end. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { administrator, type StartedConsole, signIn, startConsole } from "./harness.ts";
import { type Ask, actIn, asAdministrator, makeTenant, makeUser } from "./people.ts";

let started: StartedConsole;
let acme: Ask;
let globex: Ask;

const navigation = (page: Page) => page.getByRole("navigation", { name: "Menu" });
const namesIn = async (owner: Ask): Promise<string[]> =>
  (await owner("GET", "/contacts")).items.map(({ name }: { name: string }) => name);

const startContact = async (page: Page, name: string): Promise<() => Promise<void>> => {
  await page.getByRole("button", { name: "New" }).first().click();
  const form = page.getByRole("dialog", { name: "Contacts" });
  await form.getByLabel("Name").fill(name);
  return () => form.getByRole("button", { name: "Create" }).click();
};

describe.skipIf(!browserPath)("a tab", () => {
  beforeAll(async () => {
    started = await startConsole();
    acme = await makeTenant(started.url, { key: "acme", name: "Acme" });
    globex = await makeTenant(started.url, { key: "globex", name: "Globex" });
  }, 180_000);
  afterAll(() => started?.stop());

  test("writes to its own tenant while another is in another", async () => {
    const first = await started.openAsAdmin("t/acme/data/contacts");
    const second = await started.open("t/globex/data/contacts");
    const saveFirst = await startContact(first, "Grace of Acme");
    const saveSecond = await startContact(second, "Alan of Globex");
    await saveFirst();
    await saveSecond();
    await first.getByRole("button", { name: "Grace of Acme" }).waitFor();
    await second.getByRole("button", { name: "Alan of Globex" }).waitFor();
    expect(await namesIn(acme)).toEqual(["Grace of Acme"]);
    expect(await namesIn(globex)).toEqual(["Alan of Globex"]);
    for (const page of [first, second]) {
      started.expectFaultless(page);
      await page.close();
    }
  });

  test("says of another tenant's record that it is not here", async () => {
    const { id } = (await acme("GET", "/contacts")).items[0];
    const { id: user } = (await acme("GET", "/users")).items[0];
    const announced = [/^404 \/(contacts|users)\//];
    for (const path of [`data/contacts?id=${id}`, `users/${user}`]) {
      const page = await started.openAsAdmin(`t/globex/${path}`, { announced });
      await page.getByRole("heading", { name: "Not here" }).waitFor();
      expect(await page.getByText("Grace").count()).toBe(0);
      started.expectFaultless(page);
      await page.close();
    }
    const page = await started.open("t/nobody", { announced: [/^40[34] \/auth\/tenant-tokens$/] });
    await page.getByRole("heading", { name: "Not here" }).waitFor();
    started.expectFaultless(page);
    await page.close();
  });

  test("keeps its screen when the tenant is switched", async () => {
    const page = await started.openAsAdmin("t/acme/audit");
    await page.keyboard.press("Control+o");
    const switcher = page.getByRole("dialog", { name: "Tenants" });
    await switcher.getByRole("searchbox").or(switcher.getByRole("combobox")).fill("globex");
    await switcher
      .getByRole("option", { name: /Globex/ })
      .first()
      .waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL("**/t/globex/audit");
    await started.settled(page);
    await page.goBack();
    await page.waitForURL("**/t/acme/audit");
    started.expectFaultless(page);
    await page.close();
  });

  test.each(["p", "t/acme"])(
    "goes back, forward and reloads on every screen of /%s",
    async (root) => {
      const page = await started.openAsAdmin(root);
      const visited: string[] = [];
      for (const link of await navigation(page).getByRole("link").all()) {
        await link.click();
        await started.settled(page);
        const title = await page.title();
        await page.reload();
        await started.settled(page);
        expect(await page.title(), page.url()).toBe(title);
        visited.push(page.url());
      }
      expect(new Set(visited).size).toBe(visited.length);
      for (const url of visited.slice(0, -1).reverse()) {
        await page.goBack();
        await expect.poll(() => page.url()).toBe(url);
      }
      await started.settled(page);
      for (const url of visited.slice(1)) {
        await page.goForward();
        await expect.poll(() => page.url()).toBe(url);
      }
      await started.settled(page);
      started.expectFaultless(page);
      await page.close();
    },
    120_000,
  );

  test("at a tenant's own host shows that tenant only", async () => {
    const person = await makeUser(acme, "admin");
    await started.context.clearCookies();
    const page = await started.openAs(person, "", { tenant: "acme" });
    await page.waitForURL("**/t/acme");
    const origin = new URL(page.url()).origin;
    await page.goto(`${origin}/console/p/tenants`);
    await page.waitForURL("**/t/acme");
    await started.settled(page);
    await page.keyboard.press("Control+o");
    const dialog = page.getByRole("dialog", { name: "Tenants" });
    expect(await dialog.getByRole("option", { name: /Globex|Platform/ }).count()).toBe(0);
    started.expectFaultless(page);
    const other = await started.open("t/globex", { tenant: "acme" });
    await other.getByRole("heading", { name: "Not here" }).waitFor();
    started.expectFaultless(other);
    await Promise.all([page.close(), other.close()]);
  });

  test("whose session ends while a form is open asks to sign in again, and saves the form once", async () => {
    await started.context.clearCookies();
    const page = await started.openAsAdmin("t/acme/data/contacts", {
      announced: [/^401 /],
    });
    const save = await startContact(page, "Saved Once");
    await (await asAdministrator(started.url))("POST", "/auth/logout-all");
    await save();
    const overlay = page.getByRole("dialog", { name: "Sign in again" });
    await overlay.waitFor();
    const form = page.getByRole("dialog", { name: "Contacts", includeHidden: true });
    expect(await form.getByLabel("Name").inputValue()).toBe("Saved Once");
    await signIn(overlay, administrator);
    await page.getByRole("button", { name: "Saved Once" }).waitFor();
    acme = await actIn(started.url, "acme");
    expect((await namesIn(acme)).filter((name) => name === "Saved Once")).toHaveLength(1);
    started.expectFaultless(page);
    await page.close();
  });

  test("is emptied when somebody signs out in another, in whichever tenant", async () => {
    const tabs = await Promise.all(
      ["t/acme/data/contacts", "t/globex/users", "p/tenants"].map((path) => started.open(path)),
    );
    for (const tab of tabs) await started.settled(tab);
    const [first, ...others] = tabs;
    await first?.getByRole("button", { name: /^Account/ }).click();
    await first?.getByRole("button", { name: "Sign out" }).click();
    for (const tab of others) {
      await tab.getByLabel("Password").waitFor();
      expect(await tab.getByText("Saved Once").count()).toBe(0);
    }
    await Promise.all(tabs.map((tab) => tab.close()));
  });
});
