/**
 * Takes pictures of the console's screens, in three widths, light and dark, for people to look at:
 *
 *     scripts/node/run acceptance/console/pictures.ts
 *
 * They go to `acceptance/.output/console`; the picture of the lab and a contact sheet go to
 * `docs/images`. Build the console first.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Page } from "playwright-core";
import { startConsole } from "./harness.ts";

const output = resolve(import.meta.dirname, "../.output/console");
const images = resolve(import.meta.dirname, "../../docs/images");

const screens: Readonly<Record<string, string>> = {
  overview: "p",
  lab: "p/lab",
  tenants: "p/tenants",
  tenant: "p/tenants/demo-acme",
  jobs: "p/jobs",
  mails: "p/mails",
  logs: "p/logs",
  audit: "p/audit",
  servers: "p/servers",
  "tenant-overview": "t/demo-acme",
  data: "t/demo-acme/data/contacts",
  users: "t/demo-acme/users",
  roles: "t/demo-acme/roles",
  "api-keys": "t/demo-acme/api-keys",
  webhooks: "t/demo-acme/webhooks",
  usage: "t/demo-acme/usage",
  settings: "t/demo-acme/settings",
};
const widths = [390, 768, 1440];
const themes = ["light", "dark"] as const;
const settleMs = 1_200;

const take = async (page: Page, name: string): Promise<void> => {
  await page.waitForTimeout(settleMs);
  await page.screenshot({ path: `${output}/${name}.png` });
};

mkdirSync(output, { recursive: true });
mkdirSync(images, { recursive: true });
const running = await startConsole();
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
  for (const [name, path] of Object.entries(screens)) {
    await page.goto(`${running.url}/console/${path}`);
    for (const theme of themes) {
      await page.emulateMedia({ colorScheme: theme });
      for (const width of widths) {
        await page.setViewportSize({ width, height: 900 });
        await take(page, `${name}-${width}-${theme}`);
      }
    }
  }
  await page.setViewportSize({ width: 1600, height: 900 });
  await page.goto("about:blank");
  await page.setContent(sheetOf([...Object.keys(screens)]));
  await page.waitForTimeout(settleMs);
  const sheet = await page.screenshot({ fullPage: true, type: "jpeg", quality: 62 });
  writeFileSync(`${images}/console.jpg`, sheet);
} finally {
  await running.stop();
}

/** All screens at their widest, every other one dark. */
function sheetOf(names: readonly string[]): string {
  const picture = (name: string, at: number): string => {
    const bytes = readFileSync(`${output}/${name}-1440-${at % 2 === 0 ? "light" : "dark"}.png`);
    return `<img alt="" src="data:image/png;base64,${bytes.toString("base64")}">`;
  };
  return `<style>body { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8px; margin: 8px; background: #8a94a3 }
img { width: 100%; border-radius: 4px }</style>${names.map(picture).join("")}`;
}
