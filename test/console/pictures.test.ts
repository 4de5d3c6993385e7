import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { startTestConsole } from "../support/console.ts";
import { fillLedger } from "../support/ledger.ts";

const FOLDER = "docs/console";

it("docs/console.md has all pictures", async () => {
  const docs = await readFile("docs/console.md", "utf8");
  const taken = await readdir(FOLDER);
  expect(taken.length).toBeGreaterThan(8);
  expect(taken.filter((name) => !docs.includes(`](console/${name})`))).toEqual([]);
});

// The pages themselves have tests of their own.
if (process.env.CONSOLE_PICTURES) {
  describe("pictures of the console", takePictures);
}

function takePictures() {
  const used = startTestConsole();

  it("are taken of its main pages", async () => {
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
      await page.screenshot({ path: join(FOLDER, `${name}.png`) });
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
  });
}
