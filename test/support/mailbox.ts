import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { learnSecret } from "./secrets.ts";
import { until } from "./until.ts";

/** The captured mails to an address, oldest first, with their text decoded. */
export async function mailsTo(dataDirectory: string, address: string): Promise<string[]> {
  const files = await list(join(dataDirectory, "mail"));
  const mails = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return mails
    .map((mail) => mail.replace(/=\r?\n/g, "").replace(/=3D/g, "="))
    .filter((mail) => mail.toLowerCase().includes(`to: ${address.toLowerCase()}`));
}

/** The bodies of the captured SMS to a number, oldest first. */
export async function smsTo(dataDirectory: string, number: string): Promise<string[]> {
  const files = await list(join(dataDirectory, "sms"));
  const messages = await Promise.all(
    files.map(
      async (file) => JSON.parse(await readFile(file, "utf8")) as { to: string; body: string },
    ),
  );
  return messages.filter(({ to }) => to === number).map(({ body }) => body);
}

/** Waits for the nth message that carries a token or a code, and returns that. */
export async function secretIn(read: () => Promise<string[]>, nth = 1): Promise<string> {
  const secrets = await until(
    async () => (await read()).flatMap((message) => secretOf(message) ?? []),
    (found) => found.length >= nth,
  );
  const secret = secrets[nth - 1] as string;
  learnSecret(secret);
  return secret;
}

function secretOf(message: string): string | undefined {
  return /token=([\w-]{43})/.exec(message)?.[1] ?? /^(\d{6}) is your code/.exec(message)?.[1];
}

async function list(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort().map((name) => join(folder, name));
  } catch {
    return [];
  }
}
