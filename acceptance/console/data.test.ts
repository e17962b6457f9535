/** Data: what the API's document makes of a tenant's lists, an application's own included. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { type Person, type StartedConsole, startConsole } from "./harness.ts";
import { type Ask, makeTenant, makeUser } from "./people.ts";

let started: StartedConsole;

describe.skipIf(!browserPath)("the data of a tenant", () => {
  let owner: Ask;
  let person: Person;
  beforeAll(async () => {
    started = await startConsole({}, "invoices");
    owner = await makeTenant(started.url, { key: "acme", name: "Acme" });
    person = await makeUser(owner, "manager");
  });
  afterAll(() => started?.stop());

  const csv = (...lines: readonly string[]) => ({
    name: "people.csv",
    mimeType: "text/csv",
    buffer: Buffer.from(`name,email\n${lines.join("\n")}\n`),
  });

  test("is imported after a dry run that names each wrong line, searched, and exported", async () => {
    const page = await started.openAsAdmin("t/acme/data/contacts");
    await page.getByRole("button", { name: "Import" }).click();
    const dialog = page.getByRole("dialog", { name: "Import" });
    const file = dialog.getByLabel("Import", { exact: true }).and(dialog.locator("input"));
    await file.setInputFiles(csv("Ada Lovelace,ada@example.org", "Grace Hopper,no address"));
    await dialog.getByRole("button", { name: "Try it (dry run)" }).click();
    await dialog.getByText("1 rows are right, 1 are not.").waitFor();
    await dialog.getByText(/^3: email/).waitFor();
    expect(await dialog.getByRole("button", { name: "Import" }).last().isDisabled()).toBe(true);
    await started.expectAccessible(page);

    await file.setInputFiles(csv("Ada Lovelace,ada@example.org", "Grace Hopper,grace@example.org"));
    await dialog.getByRole("button", { name: "Try it (dry run)" }).click();
    await dialog.getByText("2 rows are right, 0 are not.").waitFor();
    expect((await owner("GET", "/contacts")).items, "a dry run changes nothing").toEqual([]);
    await dialog.getByRole("button", { name: "Import" }).last().click();
    await dialog.getByText("2 rows were imported.").waitFor();
    await dialog.getByText("Close", { exact: true }).click();

    await page.getByRole("searchbox", { name: "Search" }).fill("grace");
    await page.getByRole("button", { name: "Grace Hopper" }).waitFor();
    await page.getByRole("button", { name: "Ada Lovelace" }).waitFor({ state: "detached" });
    expect(new URL(page.url()).searchParams.get("q")).toBe("grace");
    await page.getByRole("searchbox", { name: "Search" }).fill("nobody");
    await page.getByRole("heading", { name: "Nothing matches" }).waitFor();

    const downloading = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export" }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).toBe("contacts.csv");
    const exported = readFileSync(await download.path(), "utf8");
    expect(exported).toContain("Ada Lovelace,ada@example.org");
    expect(exported).toContain("Grace Hopper,grace@example.org");
    started.expectFaultless(page);
    await page.close();
  });

  test("has products, orders and documents, each with its record at an address", async () => {
    const product = await owner("POST", "/products", { name: "Lamp", price: "74.90" });
    const lines = [{ product_id: product.id, quantity: 2 }];
    const order = await owner("POST", "/orders", { lines });
    const document = await owner("POST", "/documents", { title: "How we deliver", content: "…" });
    const page = await started.openAsAdmin("t/acme");
    for (const [name, record, shown] of [
      ["products", product, "74.90"],
      ["orders", order, "149.80"],
      ["documents", document, "How we deliver"],
    ] as const) {
      await page.goto(`${started.url}/console/t/acme/data/${name}?id=${record.id}`);
      await page.getByRole("dialog").getByText(shown, { exact: true }).first().waitFor();
      await started.settled(page);
    }
    started.expectFaultless(page);
    await page.close();
  });

  test("has the lists of an application's own features, without a line of code", async () => {
    const page = await started.openAsAdmin("t/acme/data");
    await page.getByRole("link", { name: "Invoices" }).click();
    await page.getByRole("heading", { name: "Nothing here yet" }).waitFor();
    await page.getByRole("button", { name: "New" }).first().click();
    const form = page.getByRole("dialog", { name: "Invoices" });
    await form.getByLabel("Number").fill("2026-1");
    await form.getByLabel("Customer").fill("Globex");
    await form.getByLabel("Total").fill("19.90");
    await started.expectAccessible(page);
    await form.getByRole("button", { name: "Create" }).click();
    await page.getByRole("button", { name: "2026-1" }).click();
    await page.getByRole("dialog").getByText("19.90", { exact: true }).waitFor();
    await started.expectAccessible(page);
    // There is no route to change or delete one.
    expect(await page.getByRole("dialog").getByRole("button", { name: "Edit" }).count()).toBe(0);
    expect((await owner("GET", "/invoices")).items).toMatchObject([{ customer: "Globex" }]);
    started.expectFaultless(page);
    await page.close();
  });

  test("is an address book for whoever signs in at the tenant's host", async () => {
    const page = await started.openAs(person, "t/acme/data/contacts", { tenant: "acme" });
    await page.getByRole("button", { name: "New" }).first().click();
    const form = page.getByRole("dialog", { name: "Contacts" });
    await form.getByLabel("Name").fill("Katherine Johnson");
    await form.getByLabel("Phone").fill("+1 757 864 1000");
    await form.getByLabel("Address").fill("Hampton, Virginia");
    await form.getByRole("button", { name: "Create" }).click();
    await page.getByRole("searchbox", { name: "Search" }).fill("katherine");
    await page.getByRole("button", { name: "Katherine Johnson" }).click();
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByRole("dialog").getByLabel("Phone").fill("+1 757 864 2000");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("dialog").getByText("+1 757 864 2000", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("tooltip").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { name: "Nothing matches" }).waitFor();
    started.expectFaultless(page);
    await page.close();
  });
});
