/** Screens of the platform, of a tenant and of whoever is signed in, in a real browser. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { until } from "../until.ts";
import { type StartedConsole, startConsole, takePicture } from "./harness.ts";

let started: StartedConsole;

describe.skipIf(!browserPath)("in the console", () => {
  beforeAll(async () => {
    started = await startConsole();
  });
  afterAll(() => started?.stop());

  test("the lab shows that two tenants are kept apart, down to the policy", async () => {
    const page = await started.openAsAdmin("p/lab", {
      announced: ["404 /tenants/demo-acme", "404 /tenants/demo-globex"],
    });
    await page.getByRole("button", { name: /Make demo-acme/ }).click();
    const attempt = page.getByRole("button", { name: "The policy that did it" });
    await attempt.click({ timeout: 30_000 });
    await page.getByText("(tenant_id = app.current_tenant_id())").first().waitFor();
    await page.getByRole("button", { name: "A row of Acme, written in Globex's scope" }).click();
    await page
      .getByText(/42501 new row violates row-level security policy/)
      .first()
      .waitFor();
    await page.getByRole("button", { name: "The same SQL in both scopes, and in none" }).click();
    await page.getByText(/demo-acme: 5 · demo-globex: 3/).waitFor();
    await page.getByText("3 of 3 refused or kept apart").waitFor();
    await page.getByText("Show the SQL").first().click();
    await started.expectAccessible(page);

    await page.getByRole("tab", { name: "Report" }).click();
    await page.getByText("2 of 2 placements are isolated").waitFor();
    await page.emulateMedia({ media: "print" });
    expect(await page.getByRole("navigation", { name: "Menu" }).isVisible()).toBe(false);
    await page.getByRole("cell", { name: "contacts", exact: true }).first().waitFor();
    await takePicture(page, "report-print");
    await page.emulateMedia({ media: "screen" });
    await started.expectAccessible(page);
    started.expectFaultless(page);
    await page.close();
  });

  test("health shows what the doctor finds, and how to mend it", async () => {
    const page = await started.openAsAdmin("p/health");
    const doctor = page.getByRole("region", { name: "Doctor" });
    await doctor.getByText("every row is in its tenant's placement").waitFor();
    await started.expectAccessible(page);
    await doctor.getByRole("button", { name: "Check again" }).click();
    await until(
      "it was asked again",
      () => started.requestsOf(page).filter((path) => path === "GET /platform/doctor").length > 1,
    );
    started.expectFaultless(page);
    await page.close();
  });

  test("a tenant's choice of who may register is saved, and undone", async () => {
    const page = await started.openAsAdmin("t/demo-acme/sign-in");
    const closed = page.getByRole("radio", { name: /By invitation only/ });
    const byDefault = page.getByRole("radio", { name: /The server's default/ }).first();
    for (const choice of [closed, byDefault]) {
      await choice.check();
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByText("Saved").first().waitFor();
      await page.reload();
      await choice.waitFor();
      expect(await choice.isChecked()).toBe(true);
    }
    await started.expectAccessible(page);
    started.expectFaultless(page);
    await page.close();
  });

  test("a template is written, tried and changed", async () => {
    const page = await started.openAsAdmin("t/demo-acme/notifications?tab=templates");
    await page.getByRole("button", { name: "New template" }).click();
    await page.getByLabel("Name").fill("order_shipped");
    await page.getByLabel("Subject").fill("Your order, {{ name }}");
    await page.getByLabel("Text", { exact: true }).fill("Hello {{ name }}");
    await page.getByLabel("Variables").fill('{ "name": { "example": "Ada" } }');
    await page.getByRole("button", { name: "Save" }).click();
    const preview = page.getByRole("region", { name: "Preview" });
    await preview.getByText("Hello Ada").first().waitFor();
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("Text", { exact: true }).fill("Good day {{ name }}");
    await page.getByRole("button", { name: "Show what it becomes" }).click();
    await preview.getByText("Good day Ada").first().waitFor();
    await started.expectAccessible(page);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    await preview.getByText("Good day Ada").first().waitFor();
    started.expectFaultless(page);
    await page.close();
  });

  test("a deleted tenant is restored", async () => {
    const page = await started.openAsAdmin("p/tenants/demo-globex");
    await page.getByRole("button", { name: "Delete tenant" }).click();
    const confirm = page.getByRole("dialog", { name: "Delete tenant" });
    await confirm.getByLabel("Type demo-globex to confirm").fill("demo-globex");
    await confirm.getByRole("button", { name: "Delete tenant" }).click();
    await page.getByRole("heading", { name: "Tenants" }).waitFor();
    await page.goto(`${started.url}/console/p/tenants?status=deleted`);
    await page.getByRole("link", { name: "Demo Globex" }).click();
    await page.getByRole("button", { name: "Restore" }).click();
    await page.getByRole("heading", { name: "Demo Globex Active" }).waitFor();
    await started.expectAccessible(page);
    started.expectFaultless(page);
    await page.close();
  });

  test("the links of the audit log's chain are compared", async () => {
    const page = await started.openAsAdmin("p/audit");
    const told = await page.getByText(/pairs of neighbours are linked/).innerText();
    const [, linked, of] = /(\d+) of (\d+) pairs/.exec(told) ?? [];
    expect(Number(of)).toBeGreaterThan(2);
    expect(linked).toBe(of);
    await started.expectAccessible(page);
    started.expectFaultless(page);
    await page.close();
  });

  test("whoever is signed in changes their password; a wrong one is told at its field", async () => {
    const page = await started.openAsAdmin("me?tab=security", {
      announced: ["400 /auth/password-change"],
    });
    await page.getByRole("button", { name: "Change the password" }).click();
    const form = page.getByRole("dialog", { name: "Change the password" });
    await form.getByLabel("Current password").fill("not this one at all");
    await form.getByLabel("New password").fill("another horse, another staple");
    await form.getByRole("button", { name: "Change the password" }).click();
    await form.getByText(/The current password is wrong/).waitFor();
    await form.getByLabel("Current password").fill("an-Unusual-passphrase-1");
    await form.getByRole("button", { name: "Change the password" }).click();
    await page.getByText("Your password is changed.").waitFor();
    await started.expectAccessible(page);
    await page.getByRole("tab", { name: "Sessions" }).click();
    await page.getByText("this one").waitFor();
    started.expectFaultless(page);
    await page.close();
  });
});
