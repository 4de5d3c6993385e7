import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, vi } from "vitest";
import { type Account, PASSWORD, startTestApi, type TestApi } from "./api.ts";
import { openChromium } from "./chromium.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { createPushes } from "./pushes.ts";
import { startTestWorker, type TestWorker } from "./worker.ts";

/** What a page must never do: each is a finding. */
export interface Watched {
  page: Page;
  /** Errors of the page, refusals by its Content-Security-Policy, requests to other hosts. */
  faults: string[];
}

export interface TestConsole {
  database: TestDatabase;
  worker: TestWorker;
  api: TestApi;
  operator: Account;
  pushes: ReturnType<typeof createPushes>;
  browser: Browser;
  /** A page at this path of the console, with nobody logged in. */
  open(path?: string, options?: BrowserContextOptions): Promise<Watched>;
  /** The same, logged in as the operator. */
  openAsOperator(path?: string, options?: BrowserContextOptions): Promise<Watched>;
}

/** API, worker, emulator and browser for a test file; to be called at its top. */
export function startTestConsole(): TestConsole {
  // A browser on a busy machine: what is waited for is a condition, and how long it takes no matter.
  vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });
  const used = {} as TestConsole;
  beforeAll(async () => {
    used.database = await createTestDatabase();
    used.worker = await startTestWorker(used.database);
    const environment = { DATA_DIR: used.worker.dataDirectory };
    const demo = { identifier: "operator@example.com", password: PASSWORD };
    used.api = await startTestApi({
      database: used.database,
      environment,
      development: { demo, phonesUrl: used.worker.emulator.url, graphiql: true },
    });
    used.operator = await used.api.signUpOperator(demo.identifier);
    used.pushes = createPushes(used.database);
    used.browser = await openChromium();
  });
  afterAll(async () => {
    await used.browser.close();
    await used.api.stop();
    await used.worker.stop();
    await used.database.drop();
  });

  used.open = async (path = "/", options = {}) => {
    const context = await used.browser.newContext(options);
    context.setDefaultTimeout(60_000);
    const page = await context.newPage();
    const faults = watch(page, used.api.url);
    await page.goto(`${used.api.url}/console${path}`);
    return { page, faults };
  };
  used.openAsOperator = async (path, options) => {
    const watched = await used.open(path, options);
    await logIn(watched.page, used.operator.email);
    return watched;
  };
  return used;
}

export async function logIn(page: Page, email: string, password = PASSWORD): Promise<void> {
  await page.getByLabel("E-mail or phone").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in", exact: true }).click();
}

/** As a link of the console does, to another kind of page: its heading takes the focus. */
export async function goTo(page: Page, path: string): Promise<void> {
  await page.evaluate((address) => {
    (document.activeElement as HTMLElement | null)?.blur();
    history.pushState(null, "", address);
  }, `/console${path}`);
  await page.locator("h1:focus").waitFor();
  await page.locator(".loading").waitFor({ state: "detached" });
}

function watch(page: Page, url: string): string[] {
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    const text = message.text();
    // The browser's own word on a connection that a test has cut, or a refusal that it provokes.
    if (message.type() === "error" && !/Failed to load resource|WebSocket/.test(text)) {
      faults.push(text);
    }
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !/^(blob|data|about):/.test(request.url())) {
      faults.push(`a request to ${request.url()}`);
    }
  });
  page.on("dialog", (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return faults;
}
