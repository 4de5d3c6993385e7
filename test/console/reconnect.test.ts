import { describe, expect, it } from "vitest";
import { startTestApi } from "../support/api.ts";
import { chromiumPath } from "../support/chromium.ts";
import { startTestConsole } from "../support/console.ts";

describe.skipIf(chromiumPath === undefined)("the connection of the console", () => {
  const used = startTestConsole();

  it("is lost and says so, comes back by itself, and shows what was missed", {
    timeout: 120_000,
  }, async () => {
    const { page } = await used.openAsOperator("/notifications");
    const state = page.locator(".connection");
    await page.getByText("No notification matches.").waitFor();
    await expect.poll(() => state.innerText()).toBe("Live");
    // Once the first page stands, the other pages' scripts come.
    await page.waitForFunction(() =>
      performance.getEntriesByType("resource").some(({ name }) => /\/schema-[^/]+\.js$/.test(name)),
    );

    const { port } = new URL(used.api.url);
    await used.api.stop();
    await expect
      .poll(() => state.innerText(), { timeout: 10_000 })
      .toBe("Connection lost, retrying");
    const { id } = await used.pushes.userWithDevices("good");
    const notification = await used.pushes.notify([id]);
    await used.pushes.settled(notification);
    // What was shown stays, and it is said that it is old.
    await page.getByText("The server cannot be reached.").waitFor();
    await page.getByText("No notification matches.").waitFor();

    // Pages that were not looked at before are there all the same, with the menu around them.
    await page.getByRole("link", { name: "Schema" }).click();
    await page.getByRole("heading", { name: "Schema", level: 1 }).waitFor();
    await page.getByText("The server cannot be reached.").waitFor();
    await page.getByRole("link", { name: "Notifications", exact: true }).click();

    const environment = { PORT: port, DATA_DIR: used.worker.dataDirectory };
    used.api = await startTestApi({ database: used.database, environment });
    await expect.poll(() => state.innerText(), { timeout: 15_000 }).toBe("Live");
    await page.getByRole("link", { name: "A title" }).waitFor();
    expect(await page.getByText("The server cannot be reached.").count()).toBe(0);

    // And hears of what comes after that.
    const before = Date.now();
    const scheduled = await used.pushes.notify([id], ", send_at => now() + interval '1 hour'");
    await used.database.owner.query("select app_public.cancel_notification($1)", [scheduled]);
    await page.getByRole("row").filter({ hasText: "Canceled" }).waitFor();
    expect(Date.now() - before).toBeLessThan(4000);
  });

  it("that fails for a page's script leaves the menu, says so, and lets the page be asked for again", async () => {
    const { page } = await used.openAsOperator("/");
    await page.getByText("Latest notifications").waitFor();
    await page.route("**/assets/schema-*.js", (route) => route.abort());
    await page.reload();
    await page.getByRole("link", { name: "Schema" }).click();
    await page.getByRole("heading", { name: "This page could not be shown" }).waitFor();
    await page.getByRole("link", { name: "Users" }).click();
    await page.getByRole("link", { name: "Person" }).first().waitFor();
    await page.getByRole("link", { name: "Schema" }).click();
    await page.unroute("**/assets/schema-*.js");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { name: "Schema", level: 1 }).waitFor();
    await page.context().close();
  });
});
