/**
 * Takes pictures of every screen of the console, in three widths, light and dark, for people to
 * look at:
 *
 *     scripts/node/run acceptance/console/pictures.ts
 *
 * They go to `acceptance/.output/console`; the picture of the lab and a contact sheet go to
 * `docs/images`. Build the console first.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Page } from "playwright-core";
import { launchBrowser } from "../chromium.ts";
import { temporaryFolder } from "../server.ts";
import { startConsole } from "./harness.ts";
import { makeWorld } from "./world.ts";

const output = resolve(import.meta.dirname, "../.output/console");
const images = resolve(import.meta.dirname, "../../docs/images");

/** Besides what the menus lead to: their names, and addresses below `/console/`. */
const further = {
  "sign-in": "sign-in",
  forgotten: "forgot-password",
  "p-tenant": "p/tenants/acme",
  "p-new-tenant": "p/tenants?new=yes",
  "p-tenants-none": "p/tenants?q=nobody",
  "t-products": "t/acme/data/products",
  "t-orders": "t/acme/data/orders",
  "t-documents": "t/acme/data/documents",
  "t-templates": "t/acme/notifications?tab=templates",
  "p-missing": "p/tenants/umbrella",
  "me-security": "me?tab=security",
  "me-sessions": "me?tab=sessions",
};
const signedOut = ["sign-in", "forgotten"];
/** On the contact sheet, in this order. */
const best = [
  ...["p-lab", "p", "p-tenants", "p-tenant", "t", "t-contacts"],
  ...["t-users", "t-roles", "t-webhooks", "p-audit", "p-health", "sign-in"],
];
const widths = [390, 768, 1440];
const themes = ["light", "dark"] as const;
const settleMs = 900;

mkdirSync(output, { recursive: true });
mkdirSync(images, { recursive: true });
const running = await startConsole();
const strangers = await temporaryFolder();
try {
  const page = await running.openAsAdmin("p/lab");
  await page.getByRole("button", { name: /^Make demo-acme/ }).click();
  const run = page.getByRole("button", { name: "Run all" });
  await run.waitFor({ timeout: 30_000 });
  await run.click();
  await page.getByText(/^(\d) of \1 /).waitFor({ timeout: 30_000 });
  await page.setViewportSize({ width: 1280, height: 820 });
  await page.waitForTimeout(settleMs);
  await page.screenshot({ path: `${images}/lab.png` });
  await makeWorld(running.url);

  const paths: Record<string, string> = { ...(await menuOf(page, "p")) };
  Object.assign(paths, await menuOf(page, "t/acme"), { "t-contacts": "t/acme/data/contacts" });
  const stranger = await launchBrowser(`${strangers.path}/browser`);
  const alone = await stranger.newPage();
  for (const [name, path] of Object.entries({ ...paths, ...further })) {
    await takeAll(signedOut.includes(name) ? alone : page, name, path);
  }
  await stranger.close();
  await page.setViewportSize({ width: 1600, height: 900 });
  await page.goto("about:blank");
  await page.setContent(sheetOf(best));
  await page.waitForTimeout(settleMs);
  const sheet = await page.screenshot({ fullPage: true, type: "jpeg", quality: 62 });
  writeFileSync(`${images}/console.jpg`, sheet);
} finally {
  await running.stop();
  await strangers.remove();
}

/** What a menu leads to: `p-tenants` is at `p/tenants`. */
async function menuOf(page: Page, root: string): Promise<Record<string, string>> {
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto(`${running.url}/console/${root}`);
  const links = page.getByRole("navigation", { name: "Menu" }).getByRole("link");
  await links.first().waitFor();
  const addresses = await links.evaluateAll((all) =>
    all.map((link) => (link as unknown as { href: string }).href),
  );
  const start = `${running.url}/console/`;
  return Object.fromEntries(
    addresses.map((address) => {
      const path = address.slice(start.length);
      return [path.replace("t/acme", "t").replaceAll("/", "-"), path];
    }),
  );
}

async function takeAll(page: Page, name: string, path: string): Promise<void> {
  await page.goto(`${running.url}/console/${path}`);
  for (const theme of themes) {
    await page.emulateMedia({ colorScheme: theme });
    for (const width of widths) {
      await page.setViewportSize({ width, height: 900 });
      await page.waitForTimeout(settleMs);
      await page.screenshot({ path: `${output}/${name}-${width}-${theme}.png` });
    }
  }
}

/** Screens at their widest, every other one dark. */
function sheetOf(names: readonly string[]): string {
  const picture = (name: string, at: number): string => {
    const bytes = readFileSync(`${output}/${name}-1440-${at % 2 === 0 ? "light" : "dark"}.png`);
    return `<img alt="" src="data:image/png;base64,${bytes.toString("base64")}">`;
  };
  return `<style>body { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8px; margin: 8px; background: #8a94a3 }
img { width: 100%; border-radius: 4px }</style>${names.map(picture).join("")}`;
}
