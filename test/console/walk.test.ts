import { describe, expect, it } from "vitest";
import { chromiumPath } from "../support/chromium.ts";
import { logIn, startTestConsole } from "../support/console.ts";

/** Without a browser on this machine (CHROMIUM names one) there is nothing to walk with. */
describe.skipIf(chromiumPath === undefined)("an operator in a browser", () => {
  const used = startTestConsole();

  it("logs in, sends, watches the phone get it, and finds it in the ledger", {
    timeout: 120_000,
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
    await mail.getByText('by the name of "Person"').waitFor();
    await mail.getByRole("tab", { name: "Rendered" }).click();
    const frame = mail.locator("iframe");
    expect(await frame.getAttribute("sandbox")).toBe("");
    await frame.contentFrame().getByText('by the name of "Person"').waitFor();
    expect(faults).toEqual([]);
  });

  it("opens GraphiQL with the operator's token, which does not outlive the log-out", {
    timeout: 120_000,
  }, async () => {
    const { page } = await used.openAsOperator("/users");
    const link = page.getByRole("link", { name: /^GraphiQL/ });
    const [tab] = await Promise.all([page.context().waitForEvent("page"), link.click()]);
    await tab.getByText('"authorization"').waitFor();
    const email = await tab.evaluate(async () => {
      const headers = JSON.parse(localStorage.getItem("graphiql:headers") as string);
      const answer = await fetch("/graphql", {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify({ query: "{ me { email } }" }),
      });
      return (await answer.json()).data.me.email;
    });
    expect(email).toBe(used.operator.email);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    const left = await page.evaluate(() => localStorage.getItem("graphiql:headers"));
    expect(left).toBeNull();
    await page.context().close();
  });

  it("ends a session, disables an account with a reason, and enables it again", {
    timeout: 120_000,
  }, async () => {
    const account = await used.api.signUp();
    const me = () => used.api.graphql("{ me { id } }", { token: account.token });
    const { page, faults } = await used.openAsOperator(`/users/${account.userId}`);
    const answer = (name: string) =>
      page.getByRole("alertdialog").getByRole("button", { name }).click();
    await page.getByRole("button", { name: /^Revoke the session of/ }).click();
    await answer("Revoke");
    await page.getByText("Operator revoked").waitFor();
    expect((await me()).status).toBe(401);

    await page.getByRole("button", { name: "Disable" }).click();
    await page.getByLabel("Reason").fill("Asked for by phone");
    await answer("Disable");
    await page.locator(".lead").getByText("Disabled").waitFor();
    await page.locator(".lead").getByText("Asked for by phone").waitFor();
    const refused = await used.open("/");
    await logIn(refused.page, account.email);
    await refused.page.getByRole("alert").waitFor();

    await page.getByRole("button", { name: "Enable" }).click();
    await answer("Enable");
    await page.locator(".lead").getByText("Disabled").waitFor({ state: "detached" });
    await page.getByText("Account enabled").waitFor();
    expect(faults).toEqual([]);
  });
});
