import { Agent, request as httpRequest } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: shaped by the query
  data: any;
  codes: string[];
  messages: string[];
}

/** One GraphQL request over this agent's connections; rejects where the connection fails. */
export function ask(
  url: string,
  query: string,
  options: { token?: string | undefined; agent?: Agent; variables?: object; timeout?: number } = {},
): Promise<Answer> {
  const { token, agent, variables, timeout = 60_000 } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      `${url}/graphql`,
      {
        method: "POST",
        ...(agent ? { agent } : {}),
        timeout,
        headers: {
          "content-type": "application/json",
          accept: "application/graphql-response+json",
          ...(token ? { authorization: `Bearer ${token}` } : {}),
        },
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.once("error", reject);
        response.once("end", () => {
          try {
            const { data, errors = [] } = JSON.parse(text) as {
              data: unknown;
              errors?: { message: string; extensions: { code: string } }[];
            };
            const codes = errors.map(({ extensions }) => extensions.code);
            const messages = errors.map(({ message }) => message);
            resolve({ status: response.statusCode as number, data, codes, messages });
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    request.once("timeout", () => request.destroy(new Error("No answer in time.")));
    request.once("error", reject);
    request.end(JSON.stringify({ query, variables }));
  });
}

export const SIGN_UP = `mutation ($email: String!) {
  signUp(input: {email: $email, password: "correct horse battery", firstName: "P"}) {
    tokens { userId accessToken refreshToken }
  }
}`;

export const CREATE = `mutation ($title: String!) {
  createItem(input: {item: {title: $title}}) { item { id userId } }
}`;

/**
 * Clients that create items and read them, half of them on connections that stay open. What was not answered
 * with 200 and data is kept in `failed`, what was acknowledged in `acknowledged`.
 */
export async function startLoad(url: string | (() => string), clients: number) {
  const base = () => (typeof url === "string" ? url : url());
  const failed: string[] = [];
  const acknowledged: string[] = [];
  let asked = 0;
  let isOver = false;
  const people = await Promise.all(
    Array.from({ length: clients }, async (_, n) => {
      const email = `load-${n}-${Math.random().toString(36).slice(2)}@example.com`;
      const url = base();
      const { status, data, codes, messages } = await ask(url, SIGN_UP, { variables: { email } });
      if (!data?.signUp) {
        throw new Error(`Nobody can sign up at ${url}: ${status} ${codes} ${messages}`);
      }
      return data.signUp.tokens as { userId: number; accessToken: string };
    }),
  );
  async function client(n: number): Promise<void> {
    const { accessToken: token, userId } = people[n] as (typeof people)[number];
    const agent = new Agent({ keepAlive: n % 2 === 0, maxSockets: 1 });
    for (let round = 0; !isOver; round += 1) {
      const title = `${userId}-${round}`;
      try {
        const created = await ask(base(), CREATE, { token, agent, variables: { title } });
        asked += 1;
        if (created.data?.createItem?.item?.userId === userId) acknowledged.push(title);
        else failed.push(`${created.status} ${created.codes}`);
        const { status, data, codes } = await ask(base(), "{ me { id } }", { token, agent });
        asked += 1;
        if (data?.me?.id !== userId) failed.push(`${status} ${codes} ${data?.me?.id}`);
      } catch (error) {
        failed.push((error as NodeJS.ErrnoException).code ?? (error as Error).message);
      }
      await delay(Math.random() * 100);
    }
    agent.destroy();
  }
  const all = Promise.all(people.map((_, n) => client(n)));
  return {
    failed,
    acknowledged,
    asked: () => asked,
    async stop() {
      isOver = true;
      await all;
    },
  };
}
