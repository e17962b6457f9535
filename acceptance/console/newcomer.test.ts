/** From the line in the terminal to isolation seen, without typing; then each place of the menus. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { type StartedConsole, startConsole } from "./harness.ts";

let started: StartedConsole;

describe.skipIf(!browserPath)("a newcomer", () => {
  beforeAll(async () => {
    started = await startConsole();
  }, 180_000);
  afterAll(() => started?.stop());

  const refusals = [
    "404 /tenants/demo-acme",
    "404 /tenants/demo-globex",
    "403 /contacts",
    "409 /products",
  ];
  /** Contacts that are not there, whatever their ids. */
  const isRefusal = (fault: string): boolean => /^404 \/contacts\/[0-9a-f-]{36}$/.test(fault);

  test("sees two tenants kept apart, from the link in the terminal, by three clicks", async () => {
    const [, token = ""] = /\/console\/start#(\S+)/.exec(started.server.output()) ?? [];
    const page = await started.open(`start#${token}`, {
      announced: refusals,
      tolerates: isRefusal,
    });
    await page.waitForURL(/\/p\/lab/);
    expect(page.url()).not.toContain(token);
    await page.getByRole("button", { name: /^Make demo-acme/ }).click();
    await page.getByText("5 contacts").waitFor({ timeout: 30_000 });
    await page.getByText("3 contacts").waitFor();
    await page.getByRole("button", { name: "Run all" }).click();
    await page.getByText(/^(\d) of \1 refused or kept apart$/).waitFor({ timeout: 30_000 });

    await page.getByRole("region", { name: "Demo Acme" }).getByRole("button").click();
    await page.getByText("6 contacts").waitFor();
    expect(await page.getByText("3 contacts").count()).toBe(1);
    await started.expectAccessible(page);
    started.expectFaultless(page);

    // The link worked once.
    const again = await started.open(`start#${token}`, {
      announced: ["400 /auth/start", "401 /auth/start"],
    });
    await again.getByText("insulae admin link").waitFor();
    started.expectFaultless(again);
    await again.close();
    await page.close();
  });

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

  test("removes the demo, and the lab is as it was", async () => {
    const page = await started.open("p/lab", { announced: refusals });
    await page.getByRole("button", { name: "Remove the demo" }).click();
    await page.getByRole("tooltip").getByRole("button").last().click();
    await page.getByRole("button", { name: /^Make demo-acme/ }).waitFor({ timeout: 30_000 });
    await page.close();
  });
});
