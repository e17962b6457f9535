/** Two tabs in two tenants, and each entry of both menus. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { type StartedConsole, startConsole } from "./harness.ts";

let started: StartedConsole;

describe.skipIf(!browserPath)("in the console", () => {
  beforeAll(async () => {
    started = await startConsole();
    const page = await started.openAsAdmin("p/lab");
    await page.getByRole("button", { name: /^Make demo-acme/ }).click();
    await page.getByText("3 contacts").waitFor({ timeout: 30_000 });
    await page.close();
  }, 180_000);
  afterAll(() => started?.stop());

  test("two tabs are in two tenants, and each writes to its own", async () => {
    const acme = await started.open("t/demo-acme/data/contacts");
    const globex = await started.open("t/demo-globex/data/contacts");
    const add = async (page: Page, name: string) => {
      await page.getByRole("button", { name: "New", exact: true }).first().click();
      const form = page.getByRole("dialog", { name: "Contacts" });
      await form.getByLabel("Name").fill(name);
      await form.getByRole("button", { name: "Create" }).click();
      await page.getByRole("button", { name }).waitFor();
    };
    await add(acme, "Of Acme");
    await add(globex, "Of Globex");
    await acme.reload();
    await acme.getByRole("button", { name: "Of Acme" }).waitFor();
    expect(await acme.getByText("Of Globex").count()).toBe(0);
    expect(await globex.getByText("Of Acme").count()).toBe(0);
    for (const page of [acme, globex]) {
      started.expectFaultless(page);
      await page.close();
    }
  });

  test.each(["p", "t/demo-acme"])(
    "every entry of the menu of %s opens, and survives a reload",
    async (place) => {
      const page = await started.open(place);
      const menu = page.getByRole("navigation", { name: "Menu" });
      await menu.getByRole("link").first().waitFor();
      const names = await menu.getByRole("link").allInnerTexts();
      expect(names.length).toBeGreaterThan(8);
      for (const name of names) {
        await menu.getByRole("link", { name, exact: true }).click();
        await page.getByRole("heading", { level: 1 }).waitFor();
        await page.reload();
        await page.getByRole("heading", { level: 1 }).waitFor();
        expect(
          await page
            .getByRole("alert")
            .filter({ hasText: /\d{3} \w/ })
            .count(),
          name,
        ).toBe(0);
      }
      started.expectFaultless(page);
      await page.close();
    },
  );
});
