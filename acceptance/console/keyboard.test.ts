/** The console without a mouse. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { administrator, type StartedConsole, startConsole } from "./harness.ts";
import { type Ask, makeTenant } from "./people.ts";

let started: StartedConsole;
let acme: Ask;

describe.skipIf(!browserPath)("by keyboard alone", () => {
  beforeAll(async () => {
    started = await startConsole();
    acme = await makeTenant(started.url, { key: "acme", name: "Acme" });
    await makeTenant(started.url, { key: "globex", name: "Globex" });
    await acme("POST", "/contacts", { name: "Grace Hopper" });
  });
  afterAll(() => started?.stop());

  const focused = (page: Page): Promise<string> =>
    page.evaluate(
      "(document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '').trim()",
    );
  test("somebody signs in, opens a tenant from the list, and makes one", async () => {
    const page = await started.open("sign-in?to=p%2Ftenants");
    await page.getByLabel("E-mail or user name").waitFor();
    await page.keyboard.type(administrator.login);
    await page.keyboard.press("Tab");
    await page.keyboard.type(administrator.password);
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "Globex" }).waitFor();

    await page.keyboard.press("j");
    await page.keyboard.press("j");
    expect(await focused(page)).toBe("Acme");
    await page.keyboard.press("k");
    expect(await focused(page)).toBe("Globex");
    expect(
      await page.evaluate("getComputedStyle(document.activeElement).outlineStyle"),
      "the focus is visible",
    ).not.toBe("none");
    await page.keyboard.press("Enter");
    await page.waitForURL(/p\/tenants\/globex/);

    await page.goBack();
    await page.getByRole("link", { name: "Globex" }).waitFor();
    await page.keyboard.press("n");
    await page.getByRole("dialog", { name: "New tenant" }).waitFor();
    await page.keyboard.type("Initech");
    await page.keyboard.press("Tab");
    await page.keyboard.type("initech");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Initech" }).waitFor();
    started.expectFaultless(page);
    await page.close();
  });

  test("a record is opened, edited and closed, and the focus comes back", async () => {
    const page = await started.openAsAdmin("t/acme/data/contacts");
    await page.getByRole("button", { name: "Grace Hopper" }).waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByRole("button", { name: "Edit" }).waitFor();
    await page.keyboard.press("e");
    await page.getByRole("dialog").getByLabel("Company").focus();
    await page.keyboard.type("Navy");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByText("Navy", { exact: true }).waitFor();
    expect((await acme("GET", "/contacts")).items).toMatchObject([{ company: "Navy" }]);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await focused(page)).toBe("Grace Hopper");
    started.expectFaultless(page);
    await page.close();
  });

  test("the first Tab skips the menus, and letters can be switched off", async () => {
    const page = await started.openAsAdmin("p/tenants");
    await page.getByRole("link", { name: "Globex" }).waitFor();
    await page.reload();
    await page.getByRole("link", { name: "Globex" }).waitFor();
    await page.keyboard.press("Tab");
    expect(await focused(page)).toMatch(/^Skip/);
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement?.id")).toBe("main");

    await page.keyboard.press("?");
    const list = page.getByRole("dialog", { name: "Keyboard shortcuts" });
    await list.getByRole("checkbox", { name: "Single letters are shortcuts" }).waitFor();
    await started.expectAccessible(page);
    await list.getByRole("checkbox").focus();
    await page.keyboard.press("Space");
    await page.keyboard.press("Escape");
    await page.keyboard.press("n");
    await started.settled(page);
    expect(await page.getByRole("dialog").count()).toBe(0);
    await page.evaluate("localStorage.clear()");
    started.expectFaultless(page);
    await page.close();
  });
});
