import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath } from "../support/chromium.ts";
import { goTo, logIn, startTestConsole } from "../support/console.ts";
import { fillLedger } from "../support/ledger.ts";
import { until } from "../support/until.ts";

const PICTURES = "docs/console";
/** CONSOLE_PICTURES=1 puts them where docs/console.md shows them; else they are taken and thrown away. */
const areKept = process.env.CONSOLE_PICTURES !== undefined;

describe.skipIf(chromiumPath === undefined)("the pages of the console", () => {
  const used = startTestConsole();
  let paths: string[];
  let notification: number;
  let user: number;
  let folder: string;

  beforeAll(async () => {
    folder = areKept ? PICTURES : await mkdtemp(join(tmpdir(), "howdah-pictures-"));
    const filled = await fillLedger(used);
    ({ notification } = filled);
    user = filled.users[0] as number;
    await used.database.owner.query(
      "select graphile_worker.add_job('no_such_task', max_attempts := 1)",
    );
    await used.database.owner.query(
      `update graphile_worker._private_jobs j set attempts = 1, last_error = 'It is broken.'
       from graphile_worker._private_tasks t
       where t.id = j.task_id and t.identifier = 'no_such_task'`,
    );
    await used.database.owner.query(
      `insert into app_public.push_pauses (device_type, error_code, paused_until)
       values ('ios', 'THIRD_PARTY_AUTH_ERROR', now() + interval '1 hour')`,
    );
    await used.database.owner.query(
      "insert into app_public.circuit_breakers (device_type, deliveries) values ('web', 12)",
    );
    // None behind one of the same kind: the heading of a new page takes the focus.
    paths = [
      "/notifications",
      "/compose",
      "/notifications?search=nothing-is-called-so",
      `/notifications/${notification}`,
      "/users",
      "/notifications/999999",
      "/",
      `/users/${user}?notification=${notification}`,
      "/jobs",
      "/access",
      "/schema",
      "/saves",
      "/phones",
      "/messages",
      "/nowhere",
    ];
  });
  afterAll(() => (areKept ? undefined : rm(folder, { recursive: true })));

  async function findings(page: Page, rules: readonly string[]): Promise<string[]> {
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe.source);
    const { violations } = await page.evaluate(
      // React Aria's announcer keeps what it has said for some seconds, when that is no more on the page.
      (runOnly) =>
        // biome-ignore lint/suspicious/noExplicitAny: put there by the line above
        (window as any).axe.run({ exclude: ["[data-live-announcer]"] }, { runOnly }),
      rules,
    );
    return violations.flatMap((violation: axe.Result) =>
      violation.nodes.map((node) => `${violation.id}: ${node.html.slice(0, 160)}`),
    );
  }

  async function expectSound(
    page: Page,
    rules: readonly string[],
    eachPage: (path: string) => Promise<unknown>,
  ): Promise<void> {
    const found: Record<string, string[]> = {};
    const logIn_ = await findings(page, rules);
    if (logIn_.length > 0) found["log in"] = logIn_;
    await logIn(page, used.operator.email);
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    for (const path of paths) {
      await goTo(page, path);
      await page.waitForTimeout(200);
      await eachPage(path);
      const wider = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      const here = [
        ...(await findings(page, rules)),
        ...(wider > 0 ? [`${wider} px too wide`] : []),
      ];
      if (here.length > 0) found[path] = here;
    }
    expect(found).toEqual({});
  }

  it("hold WCAG 2.2 AA as far as axe-core sees, and never scroll sideways; docs/console.md has their pictures", async () => {
    const { page, faults } = await used.open("/", {
      viewport: { width: 1280, height: 800 },
      deviceScaleFactor: 1,
      colorScheme: "light",
      timezoneId: "Europe/Berlin",
      locale: "en-GB",
    });
    const take = async (name: string) => {
      await page.locator(".connection").getByText("Live").waitFor({ state: "attached" });
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({ path: join(folder, `${name}.png`) });
    };
    const row = () => page.locator("tbody tr, .ledger-body [role=row]").first().waitFor();
    const pictures: Record<string, { name: string; ready: () => Promise<unknown> }> = {
      "/": {
        name: "overview",
        ready: () => page.locator(".recharts-bar-rectangle").first().waitFor(),
      },
      "/notifications": { name: "notifications", ready: row },
      [`/notifications/${notification}`]: { name: "notification", ready: row },
      [`/users/${user}?notification=${notification}`]: { name: "user", ready: row },
      "/compose": { name: "compose", ready: () => compose(page) },
      "/access": { name: "access", ready: row },
      "/schema": { name: "schema", ready: row },
      "/phones": {
        name: "phones",
        ready: () => page.locator(".phone .push").first().waitFor(),
      },
    };
    await expectSound(
      page,
      ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      async (path) => {
        const { name, ready } = pictures[path] ?? {};
        if (name === undefined) return;
        await ready?.();
        await take(name);
        if (path !== "/") return;
        await page.emulateMedia({ colorScheme: "dark" });
        await take("overview-dark");
        await page.emulateMedia({ colorScheme: "light" });
      },
    );
    await page.setViewportSize({ width: 320, height: 800 });
    await goTo(page, `/notifications/${notification}`);
    await row();
    await take("narrow");
    expect(faults).toEqual([]);
    await page.context().close();

    const taken = (await readdir(folder)).sort();
    expect((await readdir(PICTURES)).sort()).toEqual(taken);
    const docs = await readFile("docs/console.md", "utf8");
    expect(taken.filter((name) => !docs.includes(`](console/${name})`))).toEqual([]);
  });

  async function compose(page: Page): Promise<void> {
    await page.getByLabel("Users, by number").fill(String(user));
    await page.getByLabel("Event").fill("order.shipped");
    await page.getByLabel("Title").fill("On its way");
    await page.getByLabel("Text").fill("Your saddle has been shipped and comes on Thursday.");
    await page.getByRole("button", { name: "Count whom it reaches" }).click();
    await page.getByText(/^Reaches/).waitFor();
  }

  it("hold what depends on colour and room in the dark and at 320 px, too", async () => {
    const { page, faults } = await used.open("/", {
      colorScheme: "dark",
      viewport: { width: 320, height: 640 },
    });
    await expectSound(
      page,
      ["color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable"],
      async () => undefined,
    );
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("are reached by their address: after log-in, after a reload, in another tab", {
    timeout: 300_000,
  }, async () => {
    const path = `/users/${user}?notification=${notification}`;
    const { page } = await used.open(path);
    await logIn(page, used.operator.email);
    const sentence = page.locator(".sentence");
    expect(await sentence.innerText()).toMatch(
      /^Notification \d+ is not known to have reached user \d+: device \d+ \(\w+\) was sent it/,
    );
    await page.reload();
    await sentence.waitFor();
    expect(page.url()).toBe(`${used.api.url}/console${path}`);
    const tab = await page.context().newPage();
    await tab.goto(`${used.api.url}/console/notifications?status=SCHEDULED`);
    await tab.getByRole("link", { name: "Tomorrow at nine" }).waitFor();
    await tab.getByRole("button", { name: "Log out" }).click();
    // One who logs out in one tab is out in all.
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await page.context().close();
  });

  it("are usable by keys alone: the skip link, the menu, a choice, a question that takes Escape", {
    timeout: 300_000,
  }, async () => {
    const { page } = await used.openAsOperator("/notifications");
    await page.getByRole("heading", { name: "Notifications" }).waitFor();
    await page.reload();
    await page.getByRole("link", { name: "Tomorrow at nine" }).waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe(
      "Skip to the content",
    );
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.type("Tomorrow");
    await expect.poll(() => page.getByRole("row").count(), { timeout: 5000 }).toBe(2);
    await page.getByRole("link", { name: "Tomorrow at nine" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Tomorrow at nine" }).waitFor();
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("H1");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("alertdialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("alertdialog").waitFor({ state: "detached" });
    await expect
      .poll(() => page.evaluate(() => document.activeElement?.textContent))
      .toBe("Cancel it");
    await page.context().close();
  });

  it("say a policy where its mark is pointed at, or comes into focus by keys", async () => {
    const { page } = await used.openAsOperator("/access");
    const rule = page.locator(".rule");
    const mark = (name: string) => page.getByRole("button", { name, exact: true });
    await mark("some rows: user may update items").hover();
    await rule
      .getByText(/^user may update items \(.*title.*\): the rows where .*user_id/)
      .waitFor();
    await mark("some rows: user may select items").focus();
    await rule.getByText(/^user may select items: the rows where/).waitFor();
    await page.keyboard.press("Tab");
    await rule.getByText(/^user may insert items/).waitFor();
    await page.context().close();
  });

  it("cancel what is scheduled, lift a pause and have a failed job tried again", {
    timeout: 300_000,
  }, async () => {
    const { page, faults } = await used.openAsOperator("/notifications?status=SCHEDULED");
    await page.getByRole("link", { name: "Tomorrow at nine" }).click();
    await page.getByRole("button", { name: "Cancel it" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Cancel it" }).click();
    await page.locator(".lead").getByText("Canceled").waitFor();
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("button", { name: "Lift the pause" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Lift the pause" }).click();
    await page.getByText("THIRD_PARTY_AUTH_ERROR").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Disable the devices" }).click();
    await page
      .getByRole("alertdialog")
      .getByRole("button", { name: "Disable the devices" })
      .click();
    await page.getByText("Suspiciously many").waitFor({ state: "detached" });
    await page.getByRole("link", { name: "Failed jobs" }).click();
    await page.getByRole("button", { name: "Try again now" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Try again now" }).click();
    const { rows } = await until(
      () =>
        used.database.owner.query(
          "select attempts from graphile_worker.jobs where task_identifier = 'no_such_task'",
        ),
      ({ rows }) => rows[0].attempts === 0,
    );
    expect(rows).toHaveLength(1);
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("show times in the zone of who looks, and the exact instant on hover", {
    timeout: 300_000,
  }, async () => {
    const { page } = await used.openAsOperator(`/notifications/${notification}`, {
      timezoneId: "Asia/Kathmandu",
      locale: "en-GB",
    });
    const time = page.locator(".facts time").first();
    const at = new Date((await time.getAttribute("datetime")) as string);
    const clock = new Intl.DateTimeFormat("en-GB", {
      timeZone: "Asia/Kathmandu",
      hour: "2-digit",
      minute: "2-digit",
    });
    expect(await time.innerText()).toContain(clock.format(at));
    expect(await time.getAttribute("title")).toContain(at.toISOString());
    await page.context().close();
  });
});
