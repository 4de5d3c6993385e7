import { describe, expect, it } from "vitest";
import { chromiumPath } from "../support/chromium.ts";
import { startTestConsole } from "../support/console.ts";

/** Without a browser on this machine (CHROMIUM names one) there is nothing to walk with. */
describe.skipIf(chromiumPath === undefined)("an operator in a browser", () => {
  const used = startTestConsole();

  it("logs in, sends, watches the phone get it, and finds it in the ledger", {
    timeout: 60_000,
  }, async () => {
    const { page, faults } = await used.openAsOperator("/compose");
    const { id, tokens } = await used.pushes.userWithDevices("good", "unregistered");
    const phones = await page.context().newPage();
    await phones.goto(`${used.api.url}/console/phones`);
    await phones.getByText("No phone has got a message yet.").waitFor();

    await page.getByLabel("Users, by number").fill(String(id));
    await page.getByLabel("Event").fill("order.shipped");
    await page.getByLabel("Title").fill("On its way");
    await page.getByLabel("Text").fill("Your saddle has been shipped.");
    await page.getByRole("button", { name: "Count whom it reaches" }).click();
    await page.getByText("Reaches 1 person on 2 devices.").waitFor();
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Send" }).click();

    // The phone in the other page shows it without a reload.
    await phones
      .getByRole("listitem", { name: `Phone ${tokens[0]}` })
      .getByText("Your saddle has been shipped.")
      .waitFor();

    await page.getByRole("heading", { level: 1, name: "On its way" }).waitFor();
    await page.getByRole("row").filter({ hasText: "Dead address" }).waitFor();
    const dead = page.getByRole("row").filter({ hasText: "Dead address" });
    expect(await dead.innerText()).toContain("UNREGISTERED");
    await page.getByRole("row").filter({ hasText: "Accepted" }).waitFor();
    await page.locator(".lead").getByText("Partial").waitFor();

    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("link", { name: "On its way" }).waitFor();
    expect(faults).toEqual([]);
  });

  it("where `npm start` shows it, is the demo operator with one click", async () => {
    const { page, faults } = await used.open("/compose");
    await page.getByRole("button", { name: "Log in as the demo operator" }).click();
    await page.getByRole("heading", { name: "Compose" }).waitFor();
    expect(faults).toEqual([]);
  });

  it("reads a captured mail as text and rendered, in a frame that may do nothing", async () => {
    const account = await used.api.signUp();
    await used.api.graphql(
      "mutation { requestEmailVerification(input: {}) { clientMutationId } }",
      {
        token: account.token,
      },
    );
    const { page, faults } = await used.openAsOperator("/messages");
    await page.getByText(`To ${account.email}`).first().waitFor({ timeout: 15_000 });
    const mail = page.getByRole("listitem").filter({ hasText: account.email }).first();
    await mail.getByText("Hello Person,").waitFor();
    await mail.getByRole("tab", { name: "Rendered" }).click();
    const frame = mail.locator("iframe");
    expect(await frame.getAttribute("sandbox")).toBe("");
    await frame.contentFrame().getByText("Hello Person,").waitFor();
    expect(faults).toEqual([]);
  });
});
