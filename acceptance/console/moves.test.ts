/** A tenant is moved and moved back, in a real browser. */
import { afterAll, beforeAll, describe, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { type StartedConsole, startConsole, takePicture } from "./harness.ts";

let started: StartedConsole;

describe.skipIf(!browserPath)("in the console", () => {
  beforeAll(async () => {
    started = await startConsole();
  }, 180_000);
  afterAll(() => started?.stop());

  test("a tenant is moved from its page, watched, and moved back", async () => {
    const page = await started.openAsAdmin("p/tenants");
    await page.getByRole("button", { name: "New tenant" }).first().click();
    const tenant = page.getByRole("dialog", { name: "New tenant" });
    await tenant.getByLabel("Name").fill("Umbrella");
    await tenant.getByLabel("Key").fill("umbrella");
    await tenant.getByRole("button", { name: "New tenant" }).click();
    await page.getByRole("heading", { name: "Umbrella" }).waitFor();

    await page.getByRole("button", { name: "Move", exact: true }).click();
    const form = page.getByRole("dialog", { name: "Move a tenant" });
    await form.getByRole("radio", { name: /schema/ }).check();
    await started.expectAccessible(page);
    await form.getByRole("button", { name: "Move", exact: true }).click();
    await page.getByRole("heading", { name: "Moves Keep the old place" }).waitFor();
    await started.expectAccessible(page);
    await takePicture(page, "move");

    await page.getByRole("button", { name: "Move back" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Move back" }).click();
    await page.getByRole("heading", { name: "Moves Keep the old place back" }).waitFor();
    await page.goto(`${started.url}/console/p/moves`);
    await page.getByRole("link", { name: /Done/ }).waitFor();
    await started.expectAccessible(page);
    await takePicture(page, "moves");
    started.expectFaultless(page);
    await page.close();
  });
});
