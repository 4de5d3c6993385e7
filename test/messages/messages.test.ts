import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSendMail } from "../../src/messages/mail.ts";
import { noticeMail } from "../../src/messages/notices.ts";
import { passwordResetMail, verificationMail } from "../../src/messages/proofs.ts";
import { createSendSms } from "../../src/messages/sms.ts";

let dataDirectory: string;
beforeAll(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), "howdah-messages-"));
});
afterAll(() => rm(dataDirectory, { recursive: true, force: true }));

const LINK = { publicUrl: "https://app.example.com", token: "t" };

const MAIL = { to: "ann@example.com", subject: "Grüße", text: "Plain", html: "<p>Rich</p>" };

describe("mail", () => {
  it("without SMTP_URL is a file with text and HTML, readable by its owner alone", async () => {
    const sendMail = createSendMail({
      smtpUrl: undefined,
      from: "Howdah <h@example.com>",
      dataDirectory,
    });
    await sendMail(MAIL);
    await sendMail(MAIL);
    const files = await readdir(join(dataDirectory, "mail"));
    expect(files).toHaveLength(2);
    const path = join(dataDirectory, "mail", files[0] as string);
    const content = await readFile(path, "utf8");
    expect(path).toMatch(/\.eml$/);
    expect(content).toContain("To: ann@example.com");
    expect(content).toContain("Content-Type: text/plain");
    expect(content).toContain("Content-Type: text/html");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it.each(["ann@xn--mnchen-3ya.de", "ann@exam\u00adple.com", "ann@\uff45xample.com"])(
    "is not sent where SMTP reads another domain than is stored: %s",
    async (to) => {
      const from = "Howdah <h@example.com>";
      const sendMail = createSendMail({ smtpUrl: undefined, from, dataDirectory });
      await expect(sendMail({ ...MAIL, to })).rejects.toThrow("read as another one");
    },
  );

  it("without SMTP_URL, where no file can be written, fails by the setting's name", async () => {
    const sendMail = createSendMail({
      smtpUrl: undefined,
      from: "Howdah <h@example.com>",
      dataDirectory: "/dev/null",
    });
    await expect(sendMail(MAIL)).rejects.toThrow("SMTP_URL is not set, and /dev/null/mail cannot");
  });

  it("with SMTP_URL goes out by SMTP", async () => {
    let received = "";
    const server = createTcpServer((socket) => {
      let inData = false;
      socket.write("220 test\r\n");
      socket.on("data", (chunk) => {
        const text = String(chunk);
        received += text;
        if (inData) {
          if (!received.includes("\r\n.\r\n")) return;
          inData = false;
          socket.write("250 accepted\r\n");
        } else if (text.startsWith("DATA")) {
          inData = true;
          socket.write("354 go on\r\n");
        } else socket.write(text.startsWith("QUIT") ? "221 bye\r\n" : "250 ok\r\n");
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const sendMail = createSendMail({
      smtpUrl: `smtp://127.0.0.1:${port}`,
      from: "Howdah <h@example.com>",
      dataDirectory,
    });
    await sendMail(MAIL);
    server.close();
    expect(received).toContain("MAIL FROM:<h@example.com>");
    expect(received).toContain("RCPT TO:<ann@example.com>");
    expect(received).toContain("Plain");
  });

  it("for a server that greets and then says nothing is given up, and its job tried again later", {
    timeout: 60_000,
  }, async () => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.write("220 test\r\n");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const smtpUrl = `smtp://127.0.0.1:${port}`;
    const sendMail = createSendMail({ smtpUrl, from: "h@example.com", dataDirectory });
    await expect(sendMail(MAIL)).rejects.toThrow(/timeout/i);
    server.close();
  });
});

describe("the words of a mail", () => {
  it("of a verification say whose account it is and what the link does, and greet nobody by another's name", () => {
    const { text, html } = verificationMail({ firstName: "Mallory", ...LINK });
    for (const words of [text, html.replaceAll("&quot;", '"')]) {
      expect(words).toContain('Somebody by the name of "Mallory" has entered this e-mail address');
      expect(words).toContain("their account at app.example.com");
      expect(words).toContain("If it was not you, do not follow the link");
      expect(words).not.toContain("Hello Mallory");
    }
  });

  it.each(["evil.example", "see http://evil", "me@evil"])(
    "have no name that is a link in disguise: %s",
    (firstName) => {
      for (const mail of [
        verificationMail({ firstName, ...LINK }),
        passwordResetMail({ firstName, ...LINK }),
        noticeMail("password_changed", firstName),
      ]) {
        expect(mail.text).not.toContain("evil");
        expect(mail.text).toMatch(/^Hello,\n/);
      }
    },
  );

  it("of a reset say where the account is", () => {
    const { text } = passwordResetMail({ firstName: "Ann", ...LINK });
    expect(text).toContain("for your account at app.example.com within 30 minutes");
    expect(text).toContain("\n\nhttps://app.example.com/reset-password?token=t\n\n");
  });

  it("call for a reset where somebody got in, and not where a stranger only tried to sign up", () => {
    expect(noticeMail("password_changed", "Ann").text).toContain("reset your password at once");
    const { text } = noticeMail("sign_up_with_your_address", "Ann");
    expect(text).toContain("Hello Ann,");
    expect(text).toContain("there is nothing to do: nobody got into your account");
    expect(text).not.toContain("at once");
  });
});

describe("SMS", () => {
  it("without a webhook is a file", async () => {
    await createSendSms({ webhook: undefined, dataDirectory })({
      to: "+4930123456",
      body: "Code 1",
    });
    const [file] = await readdir(join(dataDirectory, "sms"));
    const content = JSON.parse(await readFile(join(dataDirectory, "sms", file as string), "utf8"));
    expect(content).toEqual({ to: "+4930123456", body: "Code 1", at: expect.any(String) });
  });

  it("with a webhook is posted with a signature that its receiver can check, and an error is one", async () => {
    const secret = "0123456789abcdef";
    let status = 200;
    const requests: { signature: string; body: string }[] = [];
    const server = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      requests.push({ signature: String(request.headers["x-howdah-signature"]), body });
      response.writeHead(status).end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const sendSms = createSendSms({
      webhook: { url: `http://127.0.0.1:${port}/sms`, secret },
      dataDirectory,
    });
    await sendSms({ to: "+4930123456", body: "Code 2" });
    const [{ signature, body }] = requests as [{ signature: string; body: string }];
    const [, timestamp, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) as RegExpExecArray;
    expect(v1).toBe(createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex"));
    expect(JSON.parse(body)).toMatchObject({ to: "+4930123456", body: "Code 2" });
    status = 500;
    await expect(sendSms({ to: "+4930123456", body: "Code 3" })).rejects.toThrow("answered 500");
    server.close();
  });
});
