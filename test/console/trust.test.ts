import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApi } from "../support/api.ts";
import { chromiumPath } from "../support/chromium.ts";
import { goTo, logIn, startTestConsole } from "../support/console.ts";
import { until } from "../support/until.ts";

const MARKUP = `<img src=x onerror="alert(1)"><script>alert(2)</script><svg onload=alert(3)>`;
const LINK = "javascript:alert(4)";

describe.skipIf(chromiumPath === undefined)("who is not to get into the console", () => {
  const used = startTestConsole();
  let foreign: Server;
  let foreignUrl: string;

  beforeAll(async () => {
    foreign = createServer((_request, response) => {
      response.setHeader("content-type", "text/html");
      response.end("<!doctype html><title>Elsewhere</title>");
    });
    await new Promise<void>((resolve) => foreign.listen(0, "127.0.0.1", resolve));
    foreignUrl = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    foreign.closeAllConnections();
    foreign.close();
  });

  it("a plain user is told so, and their session is ended again", async () => {
    const account = await used.api.signUp();
    const { page } = await used.open("/");
    await logIn(page, account.email);
    await page.getByText("This account is not an operator’s.").waitFor();
    expect(await page.evaluate(() => localStorage.length)).toBe(0);
    const { rows } = await used.database.owner.query(
      `select revoked_reason from app_public.sessions
       where user_id = $1 and device_info = 'Howdah console'`,
      [account.userId],
    );
    expect(rows).toEqual([{ revoked_reason: "log_out" }]);

    // With a token of theirs put where the console keeps its own.
    await page.evaluate(
      ([accessToken, refreshToken]) =>
        localStorage.setItem(
          "howdah.session",
          JSON.stringify({ accessToken, refreshToken, expiresAt: Date.now() + 600_000 }),
        ),
      [account.token, account.refreshToken],
    );
    await page.reload();
    await page.getByRole("heading", { name: "This is for operators" }).waitFor();
    const headers = { authorization: `Bearer ${account.token}` };
    for (const path of ["mails", "sms", "phones", "events"]) {
      const answer = await fetch(`${used.api.url}/console/development/${path}`, { headers });
      expect([path, answer.status]).toEqual([path, 403]);
    }
    for (const query of [
      "{ pushState { queued } }",
      "{ pushMinutes { nodes { accepted } } }",
      "{ failedJobs { nodes { id } } }",
      "{ pushAudiences { nodes } }",
      "{ accessRules { nodes { rule } } }",
      "{ schemaTables { nodes { name } } }",
      "mutation { retryDeliveries(input: {notificationId: 1}) { notification { id } } }",
      'mutation { retryJob(input: {id: "1"}) { failedJob { id } } }',
      "mutation { disableUser(input: {id: 1}) { user { id } } }",
      "mutation { enableUser(input: {id: 1}) { user { id } } }",
    ]) {
      const { errors } = await used.api.graphql(query, { token: account.token });
      expect([query, errors[0]?.extensions.code]).toEqual([query, "FORBIDDEN"]);
    }
    await page.context().close();
  });

  it("an expired token that cannot be refreshed, or a session that was ended elsewhere, leads to the log-in", async () => {
    const { page } = await used.open("/");
    await page.evaluate(
      (accessToken) =>
        localStorage.setItem(
          "howdah.session",
          JSON.stringify({ accessToken, refreshToken: "no such token", expiresAt: 0 }),
        ),
      used.operator.token,
    );
    await page.reload();
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    expect(await page.evaluate(() => localStorage.length)).toBe(0);

    await logIn(page, used.operator.email);
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await used.database.owner.query(
      `select app_private.revoke_sessions(array_agg(id), 'operator_revoked') from app_public.sessions
       where device_info = 'Howdah console' and revoked_at is null`,
    );
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await page.context().close();
  });

  it("a session that has ended reads nothing of development any more, and what it reads ends", async () => {
    const { refreshToken } = await used.api.signUpOperator();
    const { data } = await used.api.graphql(
      `mutation { refreshTokens(input: {refreshToken: "${refreshToken}"}) { tokens { accessToken } } }`,
    );
    const token = data.refreshTokens.tokens.accessToken;
    const read = (path: string) =>
      fetch(`${used.api.url}/console/development/${path}`, {
        headers: { authorization: `Bearer ${token}` },
      });
    const stream = await read("events");
    expect([stream.status, (await read("mails")).status]).toEqual([200, 200]);
    await used.api.graphql("mutation { logOut(input: {}) { clientMutationId } }", { token });
    await expect(stream.text()).rejects.toThrow("terminated");
    for (const path of ["mails", "sms", "phones", "phones/x", "events"]) {
      const answer = await read(path);
      expect([path, answer.status]).toEqual([path, 401]);
      expect((await answer.json()).errors[0].extensions.code).toBe("SESSION_REVOKED");
    }
  });

  it("two tabs whose token runs out at once refresh it once, and both stay", async () => {
    const { page } = await used.openAsOperator("/");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    const tab = await page.context().newPage();
    await tab.goto(`${used.api.url}/console/users`);
    await tab.getByRole("heading", { name: "Users" }).waitFor();
    let refreshes = 0;
    page.context().on("request", (request) => {
      if (request.postData()?.includes("refreshTokens")) refreshes += 1;
    });
    await page.evaluate(() => {
      const session = JSON.parse(localStorage.getItem("howdah.session") as string);
      localStorage.setItem("howdah.session", JSON.stringify({ ...session, expiresAt: 0 }));
    });
    await Promise.all([
      page.getByRole("link", { name: "Users" }).click(),
      tab.getByRole("link", { name: "Overview" }).click(),
    ]);
    await page.getByRole("link", { name: "Person" }).first().waitFor();
    await tab.getByText("Latest notifications").waitFor();
    expect(refreshes).toBe(1);
    await page.context().close();
  });

  /** Whether the newest session of the operator in the console is over on the server. */
  const isOver = async () => {
    const { rows } = await used.database.owner.query(
      `select revoked_at is not null as is_over from app_public.sessions
       where device_info = 'Howdah console' order by id desc limit 1`,
    );
    return rows[0].is_over as boolean;
  };
  const isRefresh = (request: { postData(): string | null }) =>
    request.postData()?.includes("refreshTokens") ?? false;
  const runOut = (page: Page) =>
    page.evaluate(() => {
      const session = JSON.parse(localStorage.getItem("howdah.session") as string);
      // Refused by the server, as one that has run out is.
      const accessToken = `${session.accessToken.slice(0, -4)}AAAA`;
      localStorage.setItem(
        "howdah.session",
        JSON.stringify({ ...session, accessToken, expiresAt: 0 }),
      );
    });

  it("who logs out while a token is being refreshed stays logged out, here and on the server", async () => {
    const { page } = await used.openAsOperator("/");
    await page.getByText("Latest notifications").waitFor();
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    await page.route("**/graphql", async (route) => {
      if (isRefresh(route.request())) await held;
      await route.continue();
    });
    await runOut(page);
    const asked = page.waitForRequest(isRefresh);
    await page.getByRole("link", { name: "Users" }).click();
    await asked;
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    const answered = page.waitForResponse((response) => isRefresh(response.request()));
    letGo();
    await answered;
    await until(isOver, (over) => over);
    expect(await page.evaluate(() => localStorage.getItem("howdah.session"))).toBeNull();
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await page.context().close();
  });

  it("a log-out with a token that has run out ends the session on the server, and one that cannot says so", async () => {
    const { page } = await used.openAsOperator("/");
    await page.getByText("Latest notifications").waitFor();
    await runOut(page);
    await page.getByRole("button", { name: "Log out" }).click();
    await until(isOver, (over) => over);
    expect(await page.getByText("The server could not be reached").count()).toBe(0);

    await logIn(page, used.operator.email);
    await page.getByText("Latest notifications").waitFor();
    await page.context().setOffline(true);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByText("the session goes on there").waitFor();
    expect(await isOver()).toBe(false);
    await page.context().close();
  });

  it("a refresh that is never answered is given up, and holds no other tab up for good", async () => {
    const { page } = await used.openAsOperator("/");
    await page.getByText("Latest notifications").waitFor();
    await page.route("**/graphql", (route) =>
      isRefresh(route.request()) ? undefined : route.continue(),
    );
    await runOut(page);
    const asked = page.waitForRequest(isRefresh);
    await page.getByRole("link", { name: "Users" }).click();
    await asked;
    const tab = await page.context().newPage();
    await tab.goto(`${used.api.url}/console/users`);
    await page.getByText("The server cannot be reached.").waitFor();
    await tab.getByRole("link", { name: "Person" }).first().waitFor();
    await page.context().close();
  });

  it("a name that a stranger has let point here is not answered in development", async () => {
    const { port } = new URL(used.api.url);
    const ask = (host: string, path: string, method = "GET") =>
      new Promise<number | undefined>((resolve, reject) => {
        request(
          {
            host: "127.0.0.1",
            port,
            path,
            method,
            headers: { host, "content-type": "application/json" },
          },
          (answer) => {
            answer.resume();
            resolve(answer.statusCode);
          },
        )
          .on("error", reject)
          .end(method === "POST" ? '{"query":"{ __typename }"}' : undefined);
      });
    for (const host of [
      `evil.example:${port}`,
      `localhost.evil.example:${port}`,
      "127.0.0.1.evil.example",
    ]) {
      expect(await ask(host, "/console")).toBe(421);
      expect(await ask(host, "/graphql", "POST")).toBe(421);
    }
    for (const host of [
      `localhost:${port}`,
      `[::1]:${port}`,
      "192.168.1.7",
      "app.localhost",
      "api",
    ]) {
      expect(await ask(host, "/console")).toBe(200);
      expect(await ask(host, "/graphql", "POST")).toBe(200);
    }
  });

  it("a page of another origin can neither ask, listen nor frame it", async () => {
    const context = await used.browser.newContext();
    const page = await context.newPage();
    await page.goto(foreignUrl);
    const outcome = await page.evaluate(
      async ([url, token]) => {
        const tried = (path: string, init: RequestInit) =>
          fetch(`${url}${path}`, init).then(
            () => "answered",
            () => "refused",
          );
        const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
        const socket = new WebSocket(
          `${url?.replace("http", "ws")}/graphql`,
          "graphql-transport-ws",
        );
        const socketOutcome = new Promise((resolve) => {
          socket.onopen = () => resolve("open");
          socket.onerror = () => resolve("refused");
        });
        return {
          graphql: await tried("/graphql", {
            method: "POST",
            headers,
            body: '{"query":"{ me { id } }"}',
          }),
          mails: await tried("/console/development/mails", { headers }),
          socket: await socketOutcome,
        };
      },
      [used.api.url, used.operator.token],
    );
    expect(outcome).toEqual({ graphql: "refused", mails: "refused", socket: "refused" });
    await page.evaluate((src) => {
      const frame = document.createElement("iframe");
      frame.src = src;
      document.body.append(frame);
    }, `${used.api.url}/console`);
    await expect
      .poll(() => page.frames()[1]?.url(), { timeout: 30_000 })
      .toBe("chrome-error://chromewebdata/");
    await context.close();
  });

  it("what users write stays text, wherever it is shown", { timeout: 120_000 }, async () => {
    const account = await used.api.signUp();
    const { database, api, operator } = used;
    await api.graphql(
      `mutation ($patch: UpdateMePatch!) { updateMe(input: {patch: $patch}) { user { id } } }`,
      { token: account.token, variables: { patch: { firstName: MARKUP, lastName: LINK } } },
    );
    await api.graphql(
      `mutation ($input: LogInInput!) { logIn(input: $input) { tokens { userId } } }`,
      {
        headers: { "user-agent": MARKUP },
        variables: {
          input: {
            identifier: account.email,
            password: "correct horse battery",
            deviceInfo: MARKUP,
          },
        },
      },
    );
    await api.graphql(
      `mutation ($title: String!) { createItem(input: {item: {title: $title, description: $title}}) { item { id } } }`,
      { token: account.token, variables: { title: MARKUP } },
    );
    await api.graphql(
      `mutation ($id: Int!, $reason: String) { disableUser(input: {id: $id, reason: $reason}) { user { id } } }`,
      {
        token: operator.token,
        variables: { id: (await api.signUp()).userId, reason: MARKUP },
      },
    );
    const { data } = await api.graphql(
      `mutation ($token: String!) { registerDevice(input: {token: $token, deviceType: WEB}) { deviceToken { id } } }`,
      { token: account.token, variables: { token: MARKUP.replaceAll(" ", "/") } },
    );
    expect(data.registerDevice.deviceToken.id).toBeGreaterThan(0);
    const sent = await api.graphql(
      `mutation ($input: SendNotificationInput!) { sendNotification(input: $input) { notification { id } } }`,
      {
        token: operator.token,
        variables: {
          input: {
            users: [account.userId],
            event: "a.b",
            title: MARKUP,
            message: `${MARKUP} ${LINK}`,
            data: { [MARKUP]: LINK },
          },
        },
      },
    );
    const { id } = sent.data.sendNotification.notification;
    await used.pushes.settled(id);
    await api.graphql("mutation { requestEmailVerification(input: {}) { clientMutationId } }", {
      token: account.token,
    });
    await database.owner.query("select graphile_worker.add_job($1, max_attempts := 1)", [
      "no_such_task",
    ]);
    await database.owner.query(
      "update graphile_worker._private_jobs set last_error = $1, attempts = 1 where max_attempts = 1",
      [MARKUP],
    );

    const { page, faults } = await used.openAsOperator("/");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    for (const path of [
      `/notifications?search=${encodeURIComponent(MARKUP)}`,
      "/",
      `/notifications/${id}?show=${encodeURIComponent(MARKUP)}`,
      `/users/${account.userId}?notification=${id}`,
      "/users",
      `/compose?to=${encodeURIComponent(MARKUP)}`,
      "/jobs",
      "/phones",
      "/messages",
      `/${encodeURIComponent(MARKUP)}`,
    ]) {
      await goTo(page, path);
      await page.waitForTimeout(200);
      if (path === "/messages") {
        await page.getByRole("tab", { name: "Rendered" }).first().click();
        await page.locator("iframe").first().waitFor();
        await page.waitForTimeout(300);
      }
      expect([
        path,
        await page.locator("img, script:not([src]), a[href^='javascript']").count(),
      ]).toEqual([path, 0]);
    }
    // The frame of a mail asks to run nothing, and whatever tried to was refused.
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("without `npm start` there is nothing of development, and the policy is strict", async () => {
    const api = await startTestApi({ database: used.database });
    try {
      for (const path of ["mails", "sms", "phones", "events", "saves", "saves/events"]) {
        const answer = await fetch(`${api.url}/console/development/${path}`, {
          headers: { authorization: `Bearer ${used.operator.token}` },
        });
        // A page of the console like any other address.
        expect([path, answer.headers.get("content-type")]).toEqual([
          path,
          "text/html; charset=utf-8",
        ]);
      }
      const answer = await fetch(`${api.url}/console`);
      const html = await answer.text();
      expect(html).not.toContain("howdah-development");
      expect(html).not.toMatch(/<style|<script(?![^>]* src=)| on[a-z]+=/);
      const policy = answer.headers.get("content-security-policy");
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toMatch(/unsafe|\*|http|data:/);
      expect((await fetch(`${api.url}/console/assets/none.js`)).status).toBe(404);
      expect(
        (await fetch(`${api.url}/console/..%2f..%2fpackage.json`)).headers.get("content-type"),
      ).toBe("text/html; charset=utf-8");
    } finally {
      await api.stop();
    }
  });
});
