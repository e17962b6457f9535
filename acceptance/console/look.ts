import { startConsole, takePicture } from "./harness.ts";

const c = await startConsole();
console.log(c.url);
const out = async (name: string, page: any) => {
  await page.waitForTimeout(700);
  await takePicture(page, name);
  try {
    c.expectFaultless(page);
  } catch (e: any) {
    console.log(name, "FAULTS", e.message);
  }
  try {
    await c.expectAccessible(page);
  } catch (e: any) {
    console.log(name, "AXE", e.message);
  }
  console.log(name, c.requestsOf(page).join(", "));
};
try {
  for (const [width, dark] of [
    [1440, false],
    [390, true],
  ] as const) {
    const p = await c.open("sign-in", { width, dark });
    await out(`sign-in-${width}`, p);
    await p.close();
  }
  const p = await c.openAsAdmin("p/tenants");
  await out("tenants-empty-1440", p);
  await p.getByRole("button", { name: "New tenant" }).first().click();
  await p.waitForTimeout(600);
  await out("tenants-new-1440", p);
  await p.getByLabel("Name").fill("Acme Corp");
  await p.getByLabel("Key").fill("acme");
  await p.getByRole("dialog").getByRole("button", { name: "New tenant" }).click();
  await p.waitForTimeout(1500);
  await out("tenant-1440", p);
  await p.goto(c.url + "/console/t/acme");
  await p.waitForTimeout(1500);
  await out("t-overview-1440", p);
  await p.goto(c.url + "/console/t/acme/data");
  await p.waitForTimeout(1500);
  await out("t-data-1440", p);
  for (const path of ["p/tenants", "p/tenants/acme", "t/acme", "t/acme/data/contacts"])
    for (const [w, dark] of [
      [1440, true],
      [768, false],
      [390, false],
    ] as const) {
      await p.setViewportSize({ width: w, height: 900 });
      await p.emulateMedia({ colorScheme: dark ? "dark" : "light", reducedMotion: "reduce" });
      await p.goto(`${c.url}/console/${path}`);
      await p.waitForTimeout(900);
      await out(`${path.replaceAll("/", "-")}-${w}`, p);
    }
} catch (e) {
  console.log("STOPPED", e);
} finally {
  await c.stop();
}
