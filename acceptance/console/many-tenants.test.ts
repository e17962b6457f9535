/** The console asks for as little with 5,000 tenants as with five. Times are printed. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { type StartedConsole, startConsole } from "./harness.ts";
import { type Ask, asAdministrator, makeTenant } from "./people.ts";

const few = 5;
const many = 5_000;
const atATime = 16;
/** What a screen may ask for when somebody comes from another one, and with the page itself. */
const mostRequests = { inside: 2, first: 4 };
/** Screens that ask for more, and why. */
const askMore: Readonly<Record<string, number>> = {
  // Figures of three kinds.
  Overview: 3,
};

const padded = (n: number) => String(n).padStart(4, "0");
const nameOf = (n: number) => `Customer ${padded(n)}`;

let started: StartedConsole;
let admin: Ask;

describe.skipIf(!browserPath)("the console", () => {
  beforeAll(async () => {
    started = await startConsole({ RATE_LIMIT_ACCOUNT: "0", RATE_LIMIT_PLANS: "premium=0" });
    await makeTenant(started.url, { key: "acme", name: "Acme" });
    admin = await asAdministrator(started.url);
    await makeTenants(1, few);
  });
  afterAll(() => started?.stop());

  async function makeTenants(from: number, to: number): Promise<void> {
    let next = from;
    const worker = async () => {
      while (next <= to) {
        const n = next;
        next += 1;
        await admin("POST", "/tenants", { key: `tenant-${padded(n)}`, name: nameOf(n) });
      }
    };
    await Promise.all(Array.from({ length: atATime }, worker));
  }

  /** The requests that somebody causes on the page, the rows that they got, and how long it took. */
  async function costOf(page: Page, act: () => Promise<void>) {
    const before = started.requestsOf(page).length;
    let rows = 0;
    const count = async (response: { url(): string; json(): Promise<unknown> }) => {
      if (!/\/api\/v1\/tenants(\?|$)/.test(response.url())) return;
      rows += ((await response.json()) as { items: unknown[] }).items.length;
    };
    page.on("response", count);
    const began = performance.now();
    await act();
    const ms = Math.round(performance.now() - began);
    await started.settled(page);
    page.off("response", count);
    return { requests: started.requestsOf(page).slice(before), rows, ms };
  }

  async function lookAround(last: number) {
    const page = await started.openAsAdmin("p/jobs");
    await started.settled(page);
    const list = await costOf(page, async () => {
      await page.getByRole("link", { name: "Tenants" }).click();
      await page.getByRole("link", { name: nameOf(last), exact: true }).waitFor();
    });
    const search = await costOf(page, async () => {
      await page.getByRole("searchbox", { name: "Key or name" }).fill("tenant-0003");
      await page.waitForURL(/q=tenant-0003/);
      await page.getByRole("link", { name: nameOf(3), exact: true }).waitFor();
    });
    const dom = await page.getByRole("row").count();
    const switcher = await costOf(page, async () => {
      await page.keyboard.press("Control+o");
      const dialog = page.getByRole("dialog", { name: "Tenants" });
      await dialog.getByRole("combobox").fill("tenant-0004");
      await dialog.getByText(nameOf(4), { exact: true }).waitFor();
      await page.keyboard.press("Escape");
    });
    started.expectFaultless(page);
    await page.close();
    return { list, search, switcher, dom };
  }

  test(`with ${many} tenants asks for no more than with ${few}`, { timeout: 240_000 }, async () => {
    const small = await lookAround(few);
    await makeTenants(few + 1, many);
    const large = await lookAround(many);
    for (const what of ["list", "search", "switcher"] as const) {
      console.log(`${what}: ${small[what].ms} ms with ${few}, ${large[what].ms} ms with ${many}`);
      expect(large[what].requests, what).toEqual(small[what].requests);
      expect(large[what].rows, what).toBeLessThanOrEqual(50);
    }
    expect(large.dom).toBeLessThanOrEqual(51);
  });

  test.each(["p", "t/acme"])(
    "asks for at most two things on each screen of /%s, and four at first",
    { timeout: 180_000 },
    async (root) => {
      const other = await started.openAsAdmin("me");
      const page = await started.open(root);
      await started.settled(page);
      const first = started.requestsOf(page).filter((each) => each !== "GET /auth/context");
      expect(first.length, first.join(", ")).toBeLessThanOrEqual(mostRequests.first + 1);
      const links = page.getByRole("navigation", { name: "Menu" }).getByRole("link");
      const over: string[] = [];
      for (const link of await links.all()) {
        const name = (await link.innerText()).trim();
        const { requests } = await costOf(page, () => link.click());
        const most = askMore[name] ?? mostRequests.inside;
        if (requests.length > most) over.push(`${name}: ${requests.join(", ")}`);
      }
      expect(over).toEqual([]);
      await page.close();
      await other.close();
    },
  );

  test("is soon there; the times are printed", async () => {
    const page = await started.open("sign-in");
    const signInMs = await page.evaluate("performance.now()");
    await page.close();
    const began = performance.now();
    const inside = await started.openAsAdmin("p");
    await inside.getByRole("heading", { name: "Overview" }).waitFor();
    const overviewMs = performance.now() - began;
    const { ms } = await costOf(inside, async () => {
      const menu = inside.getByRole("navigation", { name: "Menu" });
      await menu.getByRole("link", { name: "Jobs" }).click();
      await inside.getByRole("heading", { name: "Jobs", exact: true }).waitFor();
    });
    console.log(
      `sign-in can be typed into after ${Math.round(Number(signInMs))} ms, ` +
        `overview ${Math.round(overviewMs)} ms after the sign-in was asked for, another screen ${ms} ms`,
    );
    await inside.close();
  });
});
