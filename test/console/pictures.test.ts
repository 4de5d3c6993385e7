import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath } from "../support/chromium.ts";
import { startTestConsole } from "../support/console.ts";
import { fillLedger } from "../support/ledger.ts";

const FOLDER = "docs/console";
/** CONSOLE_PICTURES=1 puts them where docs/console.md shows them; else they are taken and thrown away. */
const isKept = process.env.CONSOLE_PICTURES !== undefined;

describe.skipIf(chromiumPath === undefined)("pictures of the console", () => {
  const used = startTestConsole();
  let folder: string;
  beforeAll(async () => {
    folder = isKept ? FOLDER : await mkdtemp(join(tmpdir(), "howdah-pictures-"));
  });
  afterAll(() => (isKept ? undefined : rm(folder, { recursive: true })));

  it("are taken of its main pages; docs/console.md has them all", {
    timeout: 120_000,
  }, async () => {
    const { users, notification } = await fillLedger(used);
    const { page, faults } = await used.openAsOperator("/", {
      viewport: { width: 1280, height: 800 },
      deviceScaleFactor: 1,
      colorScheme: "light",
      timezoneId: "Europe/Berlin",
      locale: "en-GB",
    });
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    const take = async (name: string, path: string, ready: (page: Page) => Promise<unknown>) => {
      await page.goto(`${used.api.url}/console${path}`);
      await ready(page);
      await page.locator(".loading").waitFor({ state: "detached" });
      await page.locator(".connection").getByText("Live").waitFor({ state: "attached" });
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({ path: join(folder, `${name}.png`) });
    };
    const row = () => page.locator("tbody tr, .ledger-body [role=row]").first().waitFor();
    await take("overview", "/", () => page.locator(".recharts-bar-rectangle").first().waitFor());
    await page.emulateMedia({ colorScheme: "dark" });
    await take("overview-dark", "/", () =>
      page.locator(".recharts-bar-rectangle").first().waitFor(),
    );
    await page.emulateMedia({ colorScheme: "light" });
    await take("notifications", "/notifications", row);
    await take("notification", `/notifications/${notification}`, row);
    await take("user", `/users/${users[0]}?notification=${notification}`, row);
    await take("compose", "/compose", async () => {
      await page.getByLabel("Users, by number").fill(users.slice(0, 3).join(", "));
      await page.getByLabel("Event").fill("order.shipped");
      await page.getByLabel("Title").fill("On its way");
      await page.getByLabel("Text").fill("Your saddle has been shipped and comes on Thursday.");
      await page.getByRole("button", { name: "Count whom it reaches" }).click();
      await page.getByText(/^Reaches/).waitFor();
    });
    await take("access", "/access", row);
    await take("schema", "/schema", row);
    await take("phones", "/phones", () => page.locator(".phone .push").first().waitFor());
    await page.setViewportSize({ width: 320, height: 800 });
    await take("narrow", `/notifications/${notification}`, row);
    expect(faults).toEqual([]);
    const taken = (await readdir(folder)).sort();
    expect((await readdir(FOLDER)).sort()).toEqual(taken);
    const docs = await readFile("docs/console.md", "utf8");
    expect(taken.filter((name) => !docs.includes(`](console/${name})`))).toEqual([]);
  });
});
