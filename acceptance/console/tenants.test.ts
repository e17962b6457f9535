/** The platform's tenants, and a tenant's data, in a real browser. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { type StartedConsole, startConsole, takePicture } from "./harness.ts";

let started: StartedConsole;

describe.skipIf(!browserPath)("in the console", () => {
  beforeAll(async () => {
    started = await startConsole();
  }, 180_000);
  afterAll(() => started?.stop());

  const createTenant = async (page: Page, key: string, name: string): Promise<void> => {
    await page.getByRole("button", { name: "New tenant" }).first().click();
    const form = page.getByRole("dialog", { name: "New tenant" });
    await form.getByLabel("Name").fill(name);
    await form.getByLabel("Key").fill(key);
    await started.expectAccessible(page);
    await form.getByRole("button", { name: "New tenant" }).click();
    await page.getByRole("heading", { name }).waitFor();
  };

  test("a tenant is made, suspended, resumed, and deleted by typing its key", async () => {
    const page = await started.openAsAdmin("p/tenants", { announced: ["404 /tenants/umbrella"] });
    await started.expectAccessible(page);
    await createTenant(page, "umbrella", "Umbrella");
    expect(page.url()).toBe(`${started.url}/console/p/tenants/umbrella`);
    await started.expectAccessible(page);

    await page.getByRole("button", { name: "Suspend" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Suspend" }).click();
    await page.getByRole("heading", { name: "Umbrella Suspended" }).waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("heading", { name: "Umbrella Active" }).waitFor();

    await page.getByRole("button", { name: "Delete tenant" }).click();
    const confirm = page.getByRole("dialog", { name: "Delete tenant" });
    await confirm.getByLabel("Type umbrella to confirm").fill("umbrela");
    await confirm.getByRole("button", { name: "Delete tenant" }).click();
    await confirm.getByText("Type umbrella to confirm").nth(1).waitFor();
    await confirm.getByLabel("Type umbrella to confirm").fill("umbrella");
    await confirm.getByRole("button", { name: "Delete tenant" }).click();
    await page.getByRole("heading", { name: "Tenants" }).waitFor();
    started.expectFaultless(page);
    await page.close();
  });

  test("what two people change at once is chosen field by field", async () => {
    const page = await started.openAsAdmin("p/tenants", {
      announced: ["412 /contacts"],
    });
    await createTenant(page, "acme", "Acme");
    await page.goto(`${started.url}/console/t/acme/data/contacts`);
    await page.getByRole("button", { name: "New" }).first().click();
    const form = page.getByRole("dialog", { name: "Contacts" });
    await form.getByLabel("Name").fill("Grace Hopper");
    await form.getByLabel("Company").fill("Navy");
    await form.getByRole("button", { name: "Create" }).click();
    await page.getByRole("button", { name: "Grace Hopper" }).click();
    await page.getByRole("dialog").getByText("Navy", { exact: true }).waitFor();
    started.expectFaultless(page);
    const address = page.url();
    expect(address, "the open record is in the address").toMatch(/\?id=/);

    const other = await started.open(address.slice(`${started.url}/console/`.length));
    for (const [tab, company] of [
      [page, "Mine"],
      [other, "Theirs"],
    ] as const) {
      await tab.getByRole("button", { name: "Edit" }).click();
      await tab.getByRole("dialog").getByLabel("Company").fill(company);
    }
    await other.getByRole("button", { name: "Save" }).click();
    await other.getByRole("dialog").getByText("Theirs", { exact: true }).waitFor();
    started.expectFaultless(other);
    await other.close();

    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Somebody has changed it meanwhile").waitFor();
    await started.expectAccessible(page);
    await takePicture(page, "conflict");
    await page.getByRole("radio", { name: /Mine/ }).check();
    await page.getByRole("button", { name: "Use these" }).click();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    await page.getByRole("dialog").getByText("Mine", { exact: true }).waitFor();

    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("tooltip").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { name: "Nothing here yet" }).waitFor();
    await page.close();
  });

  /** The lab asks whether its tenants are there. */
  const noDemo = ["404 /tenants/demo-acme", "404 /tenants/demo-globex"];

  test("the palette, the requests and the switcher are reached by keyboard, and give the focus back", async () => {
    const page = await started.openAsAdmin("p/tenants", { announced: noDemo });
    await page.getByRole("heading", { name: "Tenants" }).waitFor();
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Search or jump to…" }).fill("lab");
    await started.expectAccessible(page);
    await page.keyboard.press("Enter");
    await page.waitForURL("**/p/lab");
    await page.keyboard.press("Control+.");
    await page.getByRole("complementary", { name: "Requests" }).waitFor();
    await started.expectAccessible(page);
    await takePicture(page, "requests");
    await page.keyboard.press("Control+.");
    await page.keyboard.press("Control+o");
    await page.getByRole("dialog", { name: "Tenants" }).waitFor();
    await started.expectAccessible(page);
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    await page.keyboard.press("Escape");
    started.expectFaultless(page);
    await page.close();
  });
});
