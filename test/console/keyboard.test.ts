import { describe, expect, it } from "vitest";
import { chromiumPath } from "../support/chromium.ts";
import { goTo, startTestConsole } from "../support/console.ts";

describe.skipIf(chromiumPath === undefined)("the console without a mouse", () => {
  const used = startTestConsole();

  it("says FCM's whole answer and exact instants, and keeps the focus where what had it goes", async () => {
    const { id } = await used.pushes.userWithDevices("payload");
    const refused = await used.pushes.notify([id]);
    await used.pushes.settled(refused);
    const { rows } = await used.database.owner.query(
      "select error_message from app_public.notification_deliveries where notification_id = $1",
      [refused],
    );
    const { page, faults } = await used.openAsOperator(`/notifications/${refused}`);
    const answer = page.getByRole("button", { name: "INVALID_ARGUMENT" });
    await answer.focus();
    await page.keyboard.press("Enter");
    await page
      .getByRole("dialog", { name: "FCM’s answer" })
      .getByText(rows[0].error_message)
      .waitFor();
    await page.keyboard.press("Escape");
    await expect.poll(() => answer.evaluate((it) => it === document.activeElement)).toBe(true);

    await page.getByRole("button", { name: "Exact times" }).focus();
    await page.keyboard.press("Space");
    const shown = page.locator(".lead time");
    expect(await shown.innerText()).toBe(await shown.getAttribute("datetime"));
    await page.reload();
    expect(await shown.innerText()).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    await page.getByRole("button", { name: "Exact times" }).press("Space");
    expect(await shown.innerText()).not.toMatch(/Z$/);

    const scheduled = await used.pushes.notify([id], ", send_at => now() + interval '1 hour'");
    await goTo(page, `/notifications/${scheduled}`);
    await page.getByText("It has not begun.").waitFor();
    await page.getByRole("button", { name: "Cancel it" }).press("Enter");
    await page.getByRole("alertdialog").getByRole("button", { name: "Cancel it" }).press("Enter");
    await page.getByText("It was canceled before it began.").waitFor();
    await page.locator("h1:focus").waitFor();
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("leads to the field that is wrong, and says what", async () => {
    const { page } = await used.openAsOperator("/compose?to=1");
    await page.getByLabel("Event").fill("test.event");
    await page.getByRole("button", { name: "Count whom it reaches" }).press("Enter");
    await page.getByText("Nothing was counted. A notification needs a message.").waitFor();
    await expect
      .poll(() =>
        page.getByLabel("Text", { exact: true }).evaluate((it) => it === document.activeElement),
      )
      .toBe(true);
    await page.context().close();
  });

  it("closes the menu of a narrow screen by Escape", async () => {
    const { page } = await used.openAsOperator("/", { viewport: { width: 320, height: 640 } });
    const menu = page.getByRole("button", { name: "Menu" });
    await menu.press("Enter");
    await page.getByRole("link", { name: "Users" }).focus();
    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "Users" }).waitFor({ state: "hidden" });
    expect(await menu.evaluate((it) => it === document.activeElement)).toBe(true);
    await page.context().close();
  });

  it("shows the first page, or that there is none, for a damaged link", async () => {
    const { page, faults } = await used.openAsOperator("/users?page=abc");
    await page.getByRole("link", { name: "Person" }).first().waitFor();
    for (const wrong of ["-1", "1e400", "99999999"]) {
      await page.goto(`${used.api.url}/console/notifications?page=${wrong}`);
      await page.getByRole("searchbox").waitFor();
      await page.locator(".loading").waitFor({ state: "detached" });
      expect(await page.getByRole("alert").count()).toBe(0);
    }
    await page.goto(`${used.api.url}/console/users/%E0%A4%A`);
    await page.getByText("There is no such user.").waitFor();
    expect(await page.getByRole("heading", { level: 1 }).innerText()).toBe("User");
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("shows a local time as each recipient's clock has it, and finds a notification by its number as it is written", async () => {
    const { id } = await used.pushes.userWithDevices("good");
    const { rows } = await used.database.owner.query(
      `select id, send_at_local from app_private.notify($1, 'test.event', 'm', send_at_local =>
         date_trunc('minute', now() at time zone 'UTC') + interval '3 days')`,
      [[id]],
    );
    const { page } = await used.openAsOperator(`/notifications?search=%23${rows[0].id}`);
    const row = page.getByRole("row").filter({ hasText: `#${rows[0].id}` });
    await row.getByText(/, \d\d:\d\d( [AP]M)? by their clock/).waitFor();
    expect(await page.getByRole("row").count()).toBe(2);
    await page.context().close();
  });
});
