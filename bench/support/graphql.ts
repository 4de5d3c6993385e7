import { Agent, request } from "node:http";

export interface Answer {
  status: number;
  body: string;
  /** From the first byte sent to the last one received, milliseconds. */
  milliseconds: number;
}

/** A client of the API that costs little itself: connections are kept, bodies stay text. */
export function createClient(apiUrl: string) {
  const agent = new Agent({ keepAlive: true });

  function post(query: string, variables: object = {}, token?: string): Promise<Answer> {
    const content = JSON.stringify({ query, variables });
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const began = performance.now();
    const headers = {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(content),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const sent = request(`${apiUrl}/graphql`, { method: "POST", agent, headers }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("error", reject).on("end", () => {
        resolve({
          status: response.statusCode ?? 0,
          body,
          milliseconds: performance.now() - began,
        });
      });
    });
    sent.on("error", (error: NodeJS.ErrnoException) => {
      // The server has closed a connection that had waited for as long as it may: not its fault.
      const wasIdle = sent.reusedSocket && error.code === "ECONNRESET";
      if (wasIdle) resolve(post(query, variables, token));
      else reject(error);
    });
    sent.end(content);
    return promise;
  }

  /** A call that has to work: its data. */
  async function call<T>(query: string, variables: object = {}, token?: string): Promise<T> {
    const { body } = await post(query, variables, token);
    const { data, errors } = JSON.parse(body) as { data: T; errors?: unknown };
    if (errors) throw new Error(`The API refused: ${JSON.stringify(errors)}`);
    return data;
  }

  /** A new user with an e-mail address: the access token. */
  async function signUp(email: string): Promise<string> {
    const { signUp } = await call<{ signUp: { tokens: { accessToken: string } } }>(
      "mutation ($input: SignUpInput!) { signUp(input: $input) { tokens { accessToken } } }",
      { input: { email, password: PASSWORD, firstName: "Bench" } },
    );
    return signUp.tokens.accessToken;
  }

  return { post, call, signUp };
}

export type Client = ReturnType<typeof createClient>;

/** Of every user that signUp makes. */
export const PASSWORD = "correct horse battery";

export const LOG_IN =
  "mutation ($input: LogInInput!) { logIn(input: $input) { tokens { accessToken } } }";
