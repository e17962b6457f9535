/** Every screen of both menus: for everybody to read, narrow and wide, light and dark. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { type StartedConsole, startConsole } from "./harness.ts";
import { makeTenant } from "./people.ts";

let started: StartedConsole;

describe.skipIf(!browserPath)("every screen", () => {
  beforeAll(async () => {
    started = await startConsole();
    const owner = await makeTenant(started.url, {
      key: "acme",
      name: "Acme Furniture and Fittings of the North",
    });
    await owner("POST", "/contacts", { name: "Grace Hopper", email: "grace@example.org" });
  }, 180_000);
  afterAll(() => started?.stop());

  test.each([
    ["p", ["p/tenants/acme", "me", "me?tab=security", "me?tab=sessions"]],
    ["t/acme", ["t/acme/data/products", "t/acme/notifications?tab=templates"]],
  ] as const)(
    "of /%s is accessible in light and dark, and fits 320 pixels",
    async (root, further) => {
      const page = await started.openAsAdmin(root);
      await started.settled(page);
      const links = page.getByRole("navigation", { name: "Menu" }).getByRole("link");
      const paths = await links.evaluateAll((all) =>
        all.map((link) => new URL((link as unknown as { href: string }).href).pathname),
      );
      expect(paths.length).toBeGreaterThan(8);
      const wrong: string[] = [];
      for (const path of [...paths, ...further.map((each) => `/console/${each}`)]) {
        await page.setViewportSize({ width: 1440, height: 900 });
        await page.goto(`${started.url}${path}`);
        await started.settled(page);
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme });
          await started
            .expectAccessible(page)
            .catch((error) => wrong.push(`${colorScheme}: ${error}`));
        }
        await page.setViewportSize({ width: 320, height: 700 });
        await started.settled(page);
        const width = await page.evaluate("document.documentElement.scrollWidth");
        if (width !== 320) wrong.push(`${path} is ${width} pixels wide`);
        await started.expectAccessible(page).catch((error) => wrong.push(`320: ${error}`));
      }
      expect(wrong).toEqual([]);
      started.expectFaultless(page);
      await page.close();
    },
    180_000,
  );
});
