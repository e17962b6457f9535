/** From the link that the server prints to two tenants that never see each other. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { type StartedConsole, startConsole } from "./harness.ts";

let started: StartedConsole;

describe.skipIf(!browserPath)("a newcomer", () => {
  beforeAll(async () => {
    started = await startConsole();
  }, 180_000);
  afterAll(() => started?.stop());

  test("comes from the printed link to the lab, sees it hold, and leaves nothing behind", async () => {
    const link = /\/console\/(start#\S+)/.exec(started.server.output())?.[1];
    expect(link, "the server prints a link").toBeDefined();
    const page = await started.open(link ?? "", {
      // What one tenant tries with the other's contacts, token and SKU.
      announced: [/^404 \/contacts\/[\w-]+$/, "403 /contacts", "409 /products"],
    });
    await page.getByRole("button", { name: /^Make demo-acme/ }).click();
    await page.getByRole("button", { name: "Run all" }).waitFor({ timeout: 30_000 });

    const acme = page.getByRole("region", { name: "Demo Acme" });
    const globex = page.getByRole("region", { name: "Demo Globex" });
    await acme.getByText("5 contacts").waitFor();
    await globex.getByText("3 contacts").waitFor();
    expect(await acme.getByRole("listitem").allTextContents()).toContainEqual(
      expect.stringContaining("Grace Hopper"),
    );
    expect(await globex.getByRole("listitem").allTextContents()).toContainEqual(
      expect.stringContaining("Alan Turing"),
    );
    await acme.getByRole("button", { name: "Add a contact here" }).click();
    await acme.getByText("6 contacts").waitFor();
    await globex.getByText("3 contacts").waitFor();

    await page.getByRole("button", { name: "Run all" }).click();
    await page.getByText("7 of 7 refused or kept apart").waitFor({ timeout: 30_000 });
    await page.locator(".ant-btn-loading").waitFor({ state: "detached" });
    await started.expectAccessible(page);

    await page.getByRole("button", { name: "Remove the demo" }).click();
    await page.getByRole("tooltip").getByRole("button", { name: "OK" }).click();
    await page.getByRole("button", { name: /^Make demo-acme/ }).waitFor();
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("heading", { name: "No tenant yet" }).waitFor();
    started.expectFaultless(page);

    const again = await started.open(link ?? "", { announced: ["400 /auth/start"] });
    await again.getByText("were printed in the terminal at the first start").waitFor();
    await again.getByText("insulae admin link").waitFor();
    await again.getByRole("link", { name: "Sign in" }).click();
    await again.getByLabel("Password").waitFor();
    started.expectFaultless(again);
    await Promise.all([page.close(), again.close()]);
  });
});
